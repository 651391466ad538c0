"""claims.csv and claims.md: every claim of the ledger with its verdict, our number and where that is from."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable

import pandas as pd

from regrow.config import Params
from regrow.report.claims.ledger import ARITHMETIC, EXACT, Claim, Ledger
from regrow.report.claims.quantities import QUANTITIES
from regrow.report.claims.verdict import Settled, Verdict, settle
from regrow.report.estimate import number
from regrow.report.frames import Records
from regrow.report.table import Table, setting
from regrow.study.part import IN_PART

COUNT = f"regrow count --out {ARITHMETIC.parent.as_posix()}"
"""The command that computes the claims of exact arithmetic."""
DIGITS = {"%": 1, "points": 1, "x": 2}


def claims_table(records: Records, ledger: Ledger) -> Table:
    """One row a claim, in the order of the ledger."""
    params, data, shown = records.params, [], []
    for name, claim in ledger.claims.items():
        settled = settle(claim, ledger, records)
        data.append({"claim": name, **claim.model_dump(exclude={"over"}), **_columns(params, claim, settled)})
        shown.append(
            {
                "Claim": claim.statement,
                "Stated in": f"{claim.paper}, {claim.place}",
                "Stated": ("at least " if claim.sense == "at least" else "") + _number(claim.value, claim.unit),
                "Here": _here(claim, settled),
                "95 % interval": _interval(claim, settled),
                "n": str(settled.found.value.n) if settled.found and claim.scope != EXACT else "–",
                "Verdict": settled.verdict,
                "Why": settled.why,
                "What is measured here": words(params, claim, settled),
            }
        )
    return Table(name="claims", caption=_caption(params), data=pd.DataFrame(data), shown=pd.DataFrame(shown))


def _columns(params: Params, claim: Claim, settled: Settled) -> dict[str, object]:
    """What the CSV says of a verdict, beside the claim itself."""
    found = settled.found
    value = found.value if found else None
    return {
        "over": (found.over or "") if found else " ".join(claim.over),
        "verdict": settled.verdict.value,
        "why": settled.why,
        "n": value.n if value and claim.scope != EXACT else None,
        **{part: getattr(value, part) if value else math.nan for part in ("mean", "low", "high")},
        "runs": " ".join(found.runs) if found else "",
        "command": command(params, claim) if found else "",
    }


def command(params: Params, claim: Claim) -> str:
    """What makes the number, and the runs behind it."""
    if claim.scope == EXACT:
        return COUNT
    tier = params.tier.removesuffix(IN_PART)
    return f"snakemake --cores all results/{tier}/claims.csv --config params=params/{tier}.yaml"


def words(params: Params, claim: Claim, settled: Settled) -> str:
    """What is compared, in words, with the arms' labels."""
    if claim.scope == EXACT:
        return "counted, without training"
    quantity, over = QUANTITIES[claim.quantity], settled.found.over if settled.found else None
    arms = quantity.arms(params)
    known = arms.get(claim.arm or "")
    arm = known.label if known else f"`{claim.arm}`"
    if over:
        arm = f"{arms[over].label} / {arm}" if quantity.ratio else f"{arm} − {arms[over].label}"
    depths = f" ({', '.join(map(str, params.learngene.depths))})" if quantity.ratio and params.learngene else ""
    return f"{arm}: {quantity.words}{depths}"


def claims_words(table: Table) -> str:
    """How many claims have which verdict, for REPORT.md."""
    counts = Counter(table.data["verdict"])
    each = "; ".join(f"{counts[verdict]} {verdict}" for verdict in Verdict)
    return (
        f"{len(table.data)} claims, one verdict each: {each}. Off the papers' setting no trained number can be "
        "“reproduced”; the runs and the command behind each number are in [claims.csv](claims.csv) and "
        "[claims.md](claims.md)."
    )


def claims_markdown(table: Table) -> str:
    """The table, then the runs and the command behind each number."""
    known = table.data[table.data["command"] != ""]
    lines = [f"- {row.claim}: {_braced(row.runs.split()) or 'no runs'}; `{row.command}`" for row in known.itertuples()]
    return "\n".join([table.markdown(), "Where each number is from:", "", *lines, ""])


def _braced(runs: Iterable[str]) -> str:
    """`target/mango_s{0,1}`: the runs of all seeds as one, as a shell would read it."""
    seeds: dict[str, list[str]] = {}
    for run in runs:
        stem, _, seed = run.rpartition("_s")
        seeds.setdefault(stem, []).append(seed)
    texts = {stem: f"{{{','.join(found)}}}" if len(found) > 1 else found[0] for stem, found in seeds.items()}
    return ", ".join(f"`{stem}_s{text}`" for stem, text in texts.items())


def _here(claim: Claim, settled: Settled) -> str:
    return _number(settled.found.value.mean, claim.unit, DIGITS[claim.unit]) if settled.found else "–"


def _interval(claim: Claim, settled: Settled) -> str:
    value, digits = settled.found.value if settled.found else None, DIGITS[claim.unit]
    if value is None or math.isnan(value.low):
        return "–"
    return f"{number(value.low, digits)} to {number(value.high, digits)}"


def _number(value: float, unit: str, digits: int | None = None) -> str:
    text = f"{value:g}".replace("-", "−") if digits is None else number(value, digits)
    return f"{text}×" if unit == "x" else f"{text} {unit}"


def _caption(params: Params) -> str:
    return (
        "Claims. What the papers state, and our number beside it. “Reproduced”: within the claim's tolerance, of exact "
        "arithmetic, or trained in the paper's setting; “direction only”: the 95 % interval over seeds lies on the "
        "claimed side; “not reproduced”: no part of it does; all else is “not testable at this tier”. "
        f"{setting(params)}"
    )
