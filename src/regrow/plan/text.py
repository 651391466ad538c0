"""A plan as `regrow plan` prints it: the table of stages, wall times, pieces."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from regrow.plan import pieces
from regrow.plan.rows import Plan
from regrow.plan.speed import Speeds
from regrow.plan.wall import wall_hours

if TYPE_CHECKING:
    import pandas as pd


def table(plan: Plan, devices: Mapping[str, Speeds]) -> Iterator[str]:
    """Every table and stage with a column of hours for each device, their sum, and what the columns say."""
    import pandas as pd
    from tabulate import tabulate

    names = [f"{device} hours" for device in devices]
    stages = plan.by_stage(pd.DataFrame({f"{device} hours": plan.hours(speeds) for device, speeds in devices.items()}))
    heads = ["Table", "Stage", "Runs", "FLOPs", "Evaluation", *names, "Weights MB"]
    heads += ["Done", "FLOPs done", "of plan", "Hours done"]
    rows = [(*name, *_cells(stage, names)) for name, stage in stages.iterrows()]
    rows.append(("all", "", *_cells(stages.sum(), names)))
    yield tabulate(rows, heads, disable_numparse=True, colalign=["left", "left", *["right"] * (len(heads) - 2)])
    yield "\nFLOPs: training, every fit, the teacher's forward passes; the maps of a fit or a learngene are left out."
    yield "Hours: these and evaluation, but no start of a job; hours done are of training, as its clock runs."
    for device, speeds in devices.items():
        told = ", ".join(f"{stage} {speed / 1e12:.3g} TFLOPS" for stage, speed in speeds.items())
        yield f"{device} speed: {told or 'nothing was measured yet; give --gpu, --throughput or --device-records'}"
    for name, size in plan.data_bytes.items():
        yield f"Data: {name}, {size / 1e6:,.1f} MB"
    weights, data = int(plan.rows["weight_bytes"].sum()), sum(plan.data_bytes.values())
    yield f"Storage: {weights / 1e9:,.2f} GB of weights, {data / 1e9:,.2f} GB of data"


def walls(plan: Plan, device: str, speeds: Speeds, counts: Sequence[int]) -> Iterator[str]:
    """Wall time on so many devices."""
    for count in counts:
        hours = wall_hours(plan.runs, plan.hours(speeds).to_dict(), count)
        yield f"{device} wall time, {count} at a time, one a run: {hours:,.1f} hours, {hours / 24:,.1f} days"


def windows(plan: Plan, device: str, speeds: Speeds, length: float) -> Iterator[str]:
    """The pieces of so many minutes that the runs which are not done take on one device."""
    minutes = 60 * plan.hours(speeds)[plan.rows["spent_flops"].isna()]
    found = pieces.fill(minutes.to_dict(), length)
    told = f"\n{device}, pieces of {length:g} minutes: {len(found)}, {minutes.sum():,.1f} minutes in all"
    if found:
        yield f"{told}; the longest run is {minutes.idxmax()}, {minutes.max():,.1f} minutes"
        yield from pieces.lines(found)
    else:
        yield f"{told}; every run is done"


def _cells(stage: pd.Series, hours: Sequence[str]) -> tuple[str, ...]:
    done = int(stage["done"])
    share = f"{stage['spent_flops'] / stage['planned_flops']:.4f}" if stage["planned_flops"] else "–"
    return (
        f"{int(stage['runs'])}",
        f"{stage['flops']:.3e}",
        f"{stage['evaluation_flops']:.1e}",
        *(f"{stage[column]:.3g}" if stage[column] else "–" for column in hours),
        f"{stage['weight_bytes'] / 1e6:,.1f}",
        f"{done}",
        f"{stage['spent_flops']:.3e}" if done else "–",
        share,
        f"{stage['spent_hours']:.3g}" if done else "–",
    )
