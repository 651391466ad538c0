"""Plan and fact: what `regrow plan` expects of a tier before anything runs, beside what its ledger recorded."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from regrow.plan import Plan, plan
from regrow.plan.speed import at
from regrow.report.estimate import number
from regrow.report.frames import Records
from regrow.report.table import Table, setting

WORDS = (
    "What `regrow plan` expects by closed forms before anything runs, beside what was recorded. The plan leaves out "
    "the maps of a learned operator's fit and of a learngene, and has bert2BERT's sub-models on average; all else is "
    "exact. "
    "The same in seconds, which belong to the machine: [tables/seconds_plan.md](tables/seconds_plan.md)."
)


def plan_tables(records: Records, results: Path) -> tuple[Table, Table]:
    """FLOPs, the same bytes on every machine; and seconds. One row a table and stage, the last their sum.

    The images are those that the registry expects of a set, as in a plan made before anything is packed.
    """
    made = plan(records.params, results, None)
    stages = made.by_stage()
    caption = f"{{}} {setting(records.params)}"
    return (
        _table("plan", stages, "flops", "spent_flops", "FLOPs", caption.format(FLOPS)),
        _table("seconds_plan", _in_seconds(stages, made), "planned", "spent", "Seconds", caption.format(SECONDS)),
    )


FLOPS = (
    "Plan and fact. Training FLOPs of every table and stage, with every fit that was tried and the teacher's forward "
    "passes, as planned and as recorded."
)
SECONDS = (
    "Plan and fact, in seconds of training, without evaluation: the planned FLOPs at the speed that these records have "
    "in the stage on average, and what was recorded; operator fits that were not kept are timed like the kept one."
)


def _in_seconds(stages: pd.DataFrame, made: Plan) -> pd.DataFrame:
    speed = [at(made.measured, str(stage)) for stage in stages.index.get_level_values("stage")]
    return stages.assign(planned=stages["flops"] / speed, spent=3600 * stages["spent_hours"])


def _table(name: str, stages: pd.DataFrame, planned: str, fact: str, unit: str, caption: str) -> Table:
    found = stages[["runs", planned, fact]].reset_index().astype({"table": str, "stage": str})
    total = {"table": "all", "stage": "", **found[["runs", planned, fact]].sum()}
    found = pd.concat([found, pd.DataFrame([total])], ignore_index=True).astype({"runs": int})
    found["ratio"] = (found[fact] / found[planned]).where(found[planned] > 0)
    text = "{:.3e}".format if unit == "FLOPs" else "{:,.1f}".format
    shown = pd.DataFrame(
        {
            "Table": found["table"].where(~found["table"].duplicated(), ""),
            "Stage": found["stage"],
            "Runs": found["runs"].map(str),
            f"{unit}\nplanned": found[planned].map(text),
            f"{unit}\nrecorded": found[fact].map(text),
            "of plan": ["–" if pd.isna(ratio) else number(ratio, 4) for ratio in found["ratio"]],
        }
    )
    columns = {planned: f"planned_{unit.lower()}", fact: f"recorded_{unit.lower()}"}
    return Table(name=name, caption=caption, data=found.rename(columns=columns), shown=shown)
