"""`regrow plan`: what a tier costs before anything runs; afterwards, plan and fact."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from regrow.cli.parsing import Commands
from regrow.config import Params, load_params
from regrow.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

    from regrow.plan import Plan

PLANNED = ("Table", "Stage", "Runs", "FLOPs", "Evaluation", "Device hours", "Weights MB")
HEADS = (*PLANNED, "Done", "FLOPs done", "of plan", "Hours done")


def add(commands: Commands) -> None:
    """Add `plan`."""
    plan = commands.add_parser("plan", help="runs, FLOPs, device hours and storage before anything runs; then the fact")
    plan.add_argument("params", type=Path)
    speed = plan.add_mutually_exclusive_group()
    speed.add_argument("--throughput", type=float, metavar="TFLOPS", help="that the device reaches in training")
    speed.add_argument(
        "--device-records", type=Path, nargs="+", default=[], metavar="FOLDER", help="results made on it: results/gpu"
    )
    plan.add_argument("--devices", type=int, nargs="+", default=[], metavar="N", help="wall hours on so many")
    plan.add_argument("--results", type=Path, metavar="FOLDER", help="default: results/<tier>")
    plan.add_argument("--data", type=Path, default=Path("results/data"), metavar="FOLDER", help="the packed sets")
    plan.set_defaults(command=_plan)


def _plan(arguments: argparse.Namespace) -> None:
    from regrow.plan import plan

    params = load_params(arguments.params)
    found = plan(
        params,
        arguments.results or Path("results") / params.tier,
        arguments.data,
        throughput=None if arguments.throughput is None else 1e12 * arguments.throughput,
        devices=arguments.device_records,
    )
    print("\n".join([*_lines(found), *_walls(params, found, arguments.devices)]))


def _lines(plan: Plan) -> Iterator[str]:
    from tabulate import tabulate

    stages = plan.by_stage()
    rows = [(*name, *_cells(stage)) for name, stage in stages.iterrows()]
    rows.append(("all", "", *_cells(stages.sum())))
    yield tabulate(rows, HEADS, disable_numparse=True, colalign=["left", "left", *["right"] * (len(HEADS) - 2)])
    yield "\nFLOPs: training, every fit, the teacher's forward passes; the maps of a fit or a learngene are left out."
    yield "Device hours: these and evaluation, but no start of a job; hours done are of training, as its clock runs."
    if plan.speeds:
        yield "Speed: " + ", ".join(f"{stage} {speed / 1e12:.3g} TFLOPS" for stage, speed in plan.speeds.items())
    else:
        yield "No device hours: nothing was measured yet; give --throughput TFLOPS or --device-records FOLDER."
    for name, size in plan.data_bytes.items():
        yield f"Data: {name}, {size / 1e6:,.1f} MB"


def _walls(params: Params, plan: Plan, devices: list[int]) -> Iterator[str]:
    from regrow.plan.wall import wall_hours
    from regrow.study import runs

    if unreal := [count for count in devices if count < 1]:
        raise UserError(f"--devices: expected 1 or more, got {unreal[0]}")
    if devices and not plan.speeds:
        raise UserError("--devices: hours are not known; give --throughput TFLOPS or --device-records FOLDER too")
    for count in devices:
        hours = wall_hours(runs(params), plan.runs["hours"].to_dict(), count)
        yield f"Wall time, {count} at a time, one device a run: {hours:,.0f} hours, {hours / 24:,.1f} days"


def _cells(stage: pd.Series) -> tuple[str, ...]:
    done = int(stage["done"])
    share = f"{stage['spent_flops'] / stage['planned_flops']:.4f}" if stage["planned_flops"] else "–"
    return (
        f"{int(stage['runs'])}",
        f"{stage['flops']:.3e}",
        f"{stage['evaluation_flops']:.1e}",
        f"{stage['hours']:.3g}" if stage["hours"] else "–",
        f"{stage['weight_bytes'] / 1e6:,.1f}",
        f"{done}",
        f"{stage['spent_flops']:.3e}" if done else "–",
        share,
        f"{stage['spent_hours']:.3g}" if done else "–",
    )
