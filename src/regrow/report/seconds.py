"""The one table that depends on the machine: seconds of training, and whose code and device made them."""

from __future__ import annotations

from typing import Any

import pandas as pd

from regrow.report.estimate import estimate
from regrow.report.frames import Records, over_seeds
from regrow.report.growth import saving_text
from regrow.report.saving import crossings, savings
from regrow.report.table import Table, over_seeds_text, setting

SAVED = {
    "seconds_saved": "Seconds saved",
    "seconds_saved_with_operator": "with operator",
    "seconds_saved_with_source": "with source",
}
MADE_BY = ["device", "threads", "machine", "python", "torch", "commit", "dirty", "package_sha256"]


def seconds_table(records: Records) -> Table:
    """Shown: one row an arm. CSV: one row a run; a `target` run has `crossing_seconds` and its seed's savings."""
    families, machines = records.families, records.machines
    saved = pd.concat(savings(records, family) for family in families)
    crossed = pd.concat(crossings(records, family) for family in families)[["crossing_seconds"]]
    crossed = crossed.join(saved[list(SAVED)]).reset_index()
    crossed["stage"] = "target"
    trained = machines[machines["stage"] == "target"].set_index(["arm", "seed"])
    shown = []
    for family, name in [(each, name) for each in families for name in each.arms]:
        reached = int(over_seeds(saved, name, "reached").sum())
        seconds = estimate(over_seeds(trained, name, "seconds"))
        row = {"Arm": family.label(name), "Seconds of target training": str(seconds)}
        for column, heading in SAVED.items():
            row[heading] = saving_text(estimate(over_seeds(saved, name, column)), reached)
        shown.append(row)
    data = machines.merge(crossed, how="left", on=["stage", "arm", "seed"])
    return Table(name="seconds", caption=_caption(records), data=data, shown=pd.DataFrame(shown))


def _caption(records: Records) -> str:
    return (
        "Seconds. Training alone, without evaluation; savings in percent by the rule of the growth table, "
        f"with seconds as the cost and operator fits that were not kept timed like the kept one; "
        f"{over_seeds_text(records.params)}. These numbers belong to the machines below and to nothing else. "
        f"{setting(records.params)}"
    )


def seconds_markdown(table: Table) -> str:
    """The table, then the code and the machines that made it, then every run."""
    runs = table.data
    counts = runs[MADE_BY].value_counts(sort=False).sort_index()
    made = [_made_by(who, int(count), len(runs)) for who, count in counts.items()]
    each = [f"| {run.stage}/{run.run} | {run.seconds:.1f} | {run.resumes} |" for run in runs.itertuples()]
    head = ["| Run | Seconds of training | Resumes |", "|:--|--:|--:|"]
    return "\n".join([table.markdown(), "Made by:", "", *made, "", *head, *each, ""])


def _made_by(who: Any, count: int, total: int) -> str:
    device, threads, machine, python, torch, commit, dirty, package = who
    return (
        f"- {device}, {threads} thread{'s' if threads != 1 else ''}, {machine}, Python {python}, torch {torch}; "
        f"commit {commit or 'unknown'}{' with uncommitted changes' if dirty else ''}, "
        f"package `{package[:12]}`: {count} of {total} runs"
    )
