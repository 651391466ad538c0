"""The section of REPORT.md on conventions: a sentence an arm, the table, the figure."""

from __future__ import annotations

from regrow.report.conventions.choices import HEADLINE, Convention
from regrow.report.conventions.figure import CONVENTIONS, conventions_text
from regrow.report.conventions.table import extremes, percent
from regrow.report.figures import image
from regrow.report.frames import Records
from regrow.report.table import Table


def conventions_parts(records: Records, table: Table) -> list[str]:
    """The section's paragraphs, in the order in which they are read."""
    return [
        "Papers count differently: FLOPs with training as 2 × or 3 × forward, steps or epochs; with the operator's "
        "fit, with the source, or neither; to scratch's final, to a little less, or to a fixed level. Nothing below "
        "is trained anew: the runs are the same, only the accounts differ.",
        "\n".join(f"- {line}" for line in sentences(table)),
        table.markdown(),
        image(CONVENTIONS, conventions_text(records)),
        "The same in seconds, which belong to the machine: "
        "[tables/seconds_conventions.md](tables/seconds_conventions.md).",
    ]


def sentences(table: Table) -> list[str]:
    """An arm each: from where to where its mean saving goes by convention alone."""
    found = []
    for label, rows in table.data.groupby("label", sort=False):
        means = {Convention(r.cost, r.operator, r.source, r.target): r.saved_mean for r in rows.itertuples()}
        least, most = extremes(means)
        flops = {each: mean for each, mean in means.items() if each.cost == HEADLINE.cost}
        ends = [f"{_percent(means[each])} ({each})" for each in (least, most)]
        inner = [_percent(flops[each]) for each in extremes(flops)]
        found.append(
            f"{label}: from {ends[0]} to {ends[1]} by convention alone, over {len(means)} conventions; "
            f"in FLOPs at 3 × forward from {inner[0]} to {inner[1]}, over {len(flops)}."
        )
    return found


def _percent(mean: float) -> str:
    text = percent(mean)
    return f"a {text}" if text == "miss" else f"{text} %"
