"""`regrow plan`: what a tier costs before anything runs; afterwards, plan and fact."""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import TYPE_CHECKING

from regrow.cli.parsing import Commands
from regrow.config import load_params
from regrow.errors import UserError

if TYPE_CHECKING:
    from regrow.plan.speed import Speeds


def add(commands: Commands) -> None:
    """Add `plan`."""
    plan = commands.add_parser("plan", help="runs, FLOPs, device hours and storage before anything runs; then the fact")
    plan.add_argument("params", type=Path, nargs="?", help="or --tier")
    plan.add_argument("--tier", metavar="NAME", help="params/NAME.yaml")
    speed = plan.add_mutually_exclusive_group()
    speed.add_argument("--throughput", type=float, metavar="TFLOPS", help="that the device reaches in training")
    speed.add_argument(
        "--device-records", type=Path, nargs="+", default=[], metavar="FOLDER", help="results made on it: results/gpu"
    )
    speed.add_argument(
        "--gpu", nargs="+", default=[], metavar="NAME", help="h100 a100: at a share of its published peak"
    )
    plan.add_argument("--share", type=float, help="of the peak that --gpu reaches; assumed until measured")
    plan.add_argument("--devices", type=int, nargs="+", default=[], metavar="N", help="wall hours on so many")
    plan.add_argument("--minutes", type=float, metavar="M", help="the pieces of so many minutes that one device needs")
    plan.add_argument(
        "--only", nargs="+", default=[], metavar="KEY", help="runs and what they need: target/mango_s0 'target/*_s0'"
    )
    plan.add_argument("--results", type=Path, metavar="FOLDER", help="default: results/<tier>")
    plan.add_argument("--data", type=Path, default=Path("results/data"), metavar="FOLDER", help="the packed sets")
    plan.set_defaults(command=_plan)


def _plan(arguments: argparse.Namespace) -> None:
    from regrow.plan import plan, text
    from regrow.plan.speed import SHARE

    if unreal := [count for count in arguments.devices if count < 1]:
        raise UserError(f"--devices: expected 1 or more, got {unreal[0]}")
    if arguments.minutes is not None and not 0 < arguments.minutes < math.inf:
        raise UserError(f"--minutes: expected minutes above 0, got {arguments.minutes:g}")
    given = _given(arguments)
    if (arguments.params is None) == (arguments.tier is None):
        raise UserError("plan: expected a params file or --tier NAME, one of the two")
    params = load_params(arguments.params or Path("params") / f"{arguments.tier}.yaml")
    found = plan(params, arguments.results or Path("results") / params.tier, arguments.data, arguments.only)
    devices = given or {"Device": found.measured}
    if not all(devices.values()) and (arguments.devices or arguments.minutes):
        raise UserError("--devices, --minutes: hours are not known; give --gpu, --throughput or --device-records too")
    lines = list(text.table(found, devices))
    if arguments.gpu:
        lines.append(f"GPUs: {arguments.share or SHARE:g} of their makers' peak (bf16, dense), assumed until measured")
    for device, speeds in devices.items():
        lines += text.walls(found, device, speeds, arguments.devices)
        lines += text.windows(found, device, speeds, arguments.minutes) if arguments.minutes else []
    print("\n".join(lines))


def _given(arguments: argparse.Namespace) -> dict[str, Speeds]:
    """The named devices and their speeds; none where the tier's own records are to tell."""
    from regrow.plan.speed import SHARE, of_folders, of_gpu, of_tflops

    if arguments.gpu:
        share = SHARE if arguments.share is None else arguments.share
        return {name.upper(): of_gpu(name, share) for name in arguments.gpu}
    if arguments.share is not None:
        raise UserError("--share: a share of a GPU's peak; give --gpu too")
    if arguments.throughput is not None:
        return {"Device": of_tflops(arguments.throughput)}
    return {"Device": of_folders(arguments.device_records)} if arguments.device_records else {}
