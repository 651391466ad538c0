"""The plan: for every table and stage the runs, their cost, and what was really spent."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from regrow.config import STAGES, DataRef, Params, TeacherConfig
from regrow.data.registry import find_set
from regrow.plan.cost import Size, cost, images_of, timm_size
from regrow.plan.fact import ALL, given_speeds, record, spent
from regrow.study import Run, data_refs, runs

BYTES = 4
"""Of a parameter in a weights file: float32."""
COLOURS = 3
"""Channels of an image that is not packed yet; a grey set has one."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """`runs` has a row a run: `table` and `stage`, what is planned (`flops`, `evaluation_flops`, `hours`,
    `weight_bytes`) and, where it is done, `spent_flops` and `spent_hours`; else these are NaN."""

    runs: pd.DataFrame
    speeds: dict[str, float]
    """FLOPs a second by stage, or of `all`; empty: not known."""
    data_bytes: dict[str, int]
    """Of every packed set; at most, where it is not packed yet."""

    def speed(self, stage: str) -> float:
        """FLOPs a second of a stage; NaN: not known."""
        return self.speeds.get(stage, self.speeds.get(ALL, math.nan))

    def by_stage(self) -> pd.DataFrame:
        """Index (table, stage): sums over the runs. `planned_flops` are those of the runs that are done."""
        done = self.runs["spent_flops"].notna()
        found = self.runs.assign(runs=1, done=done.astype(int), planned_flops=self.runs["flops"].where(done, 0))
        for name, order in (("table", found["table"].unique()), ("stage", STAGES)):
            found[name] = pd.Categorical(found[name], order)
        return found.groupby(["table", "stage"], observed=True).sum(numeric_only=True)


def plan(params: Params, results: Path, data: Path | None, *, throughput: float | None, devices: list[Path]) -> Plan:
    """Plan a tier; hours at `throughput` (FLOPs a second), at the speed of the records in `devices`, or of its own.

    `data` holds the packed sets; of a set that is not there, and of all where it is None, the registry knows the size.
    """
    found = runs(params)
    done = {key: results / "records" / key for key, run in found.items() if record(results, run)}
    speeds = given_speeds(throughput, devices, list(done.values()))
    alone = runs(params.model_copy(update={"learngene": None}))
    teacher = next((_size(run, results) for run in found.values() if run.stage == "teacher"), None)
    images = {run.config.data: images_of(run.config.data, data) for run in found.values()}
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
                "hours": (planned.flops + planned.evaluation) / speeds.get(run.stage, speeds.get(ALL, math.nan)) / 3600,
                "weight_bytes": BYTES * planned.parameters,
                "spent_flops": made.flops if made else math.nan,
                "spent_hours": made.seconds / 3600 if made else math.nan,
            }
        )
    sizes = {folder: _bytes(data, ref) for folder, ref in data_refs(params).items()}
    return Plan(runs=pd.DataFrame(rows, index=pd.Index(list(found), name="key")), speeds=speeds, data_bytes=sizes)


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


def _bytes(data: Path | None, ref: DataRef) -> int:
    if data and (data / ref.folder / "manifest.json").exists():
        return sum(path.stat().st_size for path in (data / ref.folder).iterdir())
    known = find_set(ref.name)
    return (known.train + known.test) * ref.img_size**2 * COLOURS
