"""The plan: for every table and stage the runs, their cost, and what was really spent."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from regrow.config import STAGES, Params, TeacherConfig
from regrow.plan.cost import Size, cost, images_of, timm_size
from regrow.plan.fact import record, spent
from regrow.plan.speed import Speeds, at, of_records
from regrow.plan.storage import packed_bytes
from regrow.study import Run, runs, with_parents

BYTES = 4
"""Of a parameter in a weights file: float32."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """`rows` has one for each run: `table` and `stage`, what is planned (`flops`, `evaluation_flops`, `weight_bytes`)
    and, where it is done, `spent_flops` and `spent_hours`; else these are NaN."""

    runs: dict[str, Run]
    """In the order of the study, parents first."""
    rows: pd.DataFrame
    measured: Speeds
    """What the records of these runs say of the device that they ran on."""
    data_bytes: dict[str, int]
    """Of every packed set; at most, where it is not packed yet."""

    def hours(self, speeds: Speeds) -> pd.Series:
        """Of every run on a device of that speed; NaN: not known."""
        speed = self.rows["stage"].map(lambda stage: at(speeds, stage))
        return (self.rows["flops"] + self.rows["evaluation_flops"]) / speed / 3600

    def by_stage(self, hours: pd.DataFrame | None = None) -> pd.DataFrame:
        """Index (table, stage): sums over the runs, and of the columns of `hours`.

        `planned_flops` are those of the runs that are done.
        """
        done = self.rows["spent_flops"].notna()
        found = self.rows.assign(runs=1, done=done.astype(int), planned_flops=self.rows["flops"].where(done, 0))
        if hours is not None:
            found = found.join(hours)
        for name, order in (("table", found["table"].unique()), ("stage", STAGES)):
            found[name] = pd.Categorical(found[name], order)
        return found.groupby(["table", "stage"], observed=True).sum(numeric_only=True)


def plan(params: Params, results: Path, data: Path | None, only: Collection[str] = ()) -> Plan:
    """Plan a tier, or `only` the runs of these keys and patterns with what they need.

    `data` holds the packed sets; of a set that is not there, and of all where it is None, the registry knows the size.
    """
    found = runs(params)
    if only:
        found = with_parents(found, only)
    done = {key: results / "records" / key for key, run in found.items() if record(results, run)}
    alone = runs(params.model_copy(update={"learngene": None}))
    teacher = next((_size(run, results) for run in found.values() if run.stage == "teacher"), None)
    refs = {run.config.data: None for run in found.values()}
    images = {ref: images_of(ref, data) for ref in refs}
    rows = []
    for key, run in found.items():
        planned = cost(run.config, images[run.config.data], teacher)
        made = spent(done[key]) if key in done else None
        rows.append(
            {
                "table": _table(run, in_growth=key in alone),
                "stage": run.stage,
                "flops": float(planned.flops),  # the sum of a large tier is no int64
                "evaluation_flops": float(planned.evaluation),
                "weight_bytes": BYTES * planned.parameters,
                "spent_flops": made.flops if made else math.nan,
                "spent_hours": made.seconds / 3600 if made else math.nan,
            }
        )
    return Plan(
        runs=found,
        rows=pd.DataFrame(rows, index=pd.Index(list(found), name="key")),
        measured=of_records(done.values()),
        data_bytes={ref.folder: packed_bytes(ref, data) for ref in refs},
    )


def _size(run: Run, results: Path) -> Size:
    """The teacher's, from its record where there is one: no torch is needed then."""
    assert isinstance(run.config, TeacherConfig)
    if made := record(results, run):
        return Size(forward_flops=made["forward_flops_per_image"], parameters=made["parameters"])
    return timm_size(run.config.model, run.config.data.img_size)


def _table(run: Run, *, in_growth: bool) -> str:
    """The table that a run is made for."""
    if run.stage == "transfer":
        return "transfer" if in_growth else "descendants_transfer"
    return "growth" if in_growth else "descendants"
