"""`regrow run`: one run of the DAG; its config names the stage."""

from __future__ import annotations

import argparse
import importlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from regrow.cli.parsing import Commands, add_device
from regrow.config import RunConfig, load_run
from regrow.errors import UserError
from regrow.gpu import hold_gpu
from regrow.lock import share
from regrow.stages import MODULES
from regrow.train import SAVE_EVERY
from regrow.warm import run_there

if TYPE_CHECKING:
    from regrow.stages.outcome import Place

FREE = "free-cuda"
"""The device of a run that takes a GPU which no other run holds."""


def add(commands: Commands) -> None:
    """Add `run`."""
    run = commands.add_parser("run", help="one run of the study; its config names the stage")
    run.add_argument("config", type=Path, help="the run's resolved config.json (see `regrow config`)")
    run.add_argument("--data", type=Path, required=True, metavar="FOLDER", help="the packed set")
    run.add_argument("--init", type=Path, metavar="WEIGHTS", help="the parent's weights.safetensors")
    run.add_argument("--weights", type=Path, required=True, metavar="OUT", help="the weights to write")
    run.add_argument("--records", type=Path, required=True, metavar="FOLDER", help="for summary, metrics, provenance")
    run.add_argument("--work", type=Path, metavar="FOLDER", help="checkpoints (default: beside --records)")
    run.add_argument("--save-every", type=float, default=SAVE_EVERY, metavar="S", help="seconds between checkpoints")
    add_device(run, FREE)
    run.add_argument(
        "--runs-per-gpu", type=int, default=1, metavar="K", help="with --device free-cuda: how many share one"
    )
    run.add_argument("--processes", type=int, default=1, help="that share every batch; one GPU each with --device cuda")
    run.add_argument("--fast", action="store_true", help="torch.compile, TF32, any algorithm: not the same bits again")
    run.set_defaults(command=_run)


def _run(arguments: argparse.Namespace) -> None:
    code = run_there(sys.argv[1:])
    if code is not None:
        raise SystemExit(code)
    config = load_run(arguments.config)
    from regrow.stages.outcome import Place

    if arguments.processes < 1:
        raise UserError(f"--processes: expected 1 or more, got {arguments.processes}")
    if arguments.runs_per_gpu < 1:
        raise UserError(f"--runs-per-gpu: expected 1 or more, got {arguments.runs_per_gpu}")
    device = arguments.device
    if device == FREE:
        if arguments.processes > 1:
            raise UserError("--device free-cuda holds one GPU; with --processes give --device cuda")
        print(f"holds GPU {hold_gpu(arguments.runs_per_gpu)}")
        device = "cuda"
    place = Place(
        data=arguments.data,
        init=arguments.init,
        weights=arguments.weights,
        records=arguments.records,
        work=arguments.work or arguments.records / "work",
        device=device,
        threads=arguments.threads,
        fast=arguments.fast,
        save_every=arguments.save_every,
    )
    if arguments.processes == 1:
        _stage(config, place)
    else:
        from regrow.train.launch import launch

        raise SystemExit(launch(arguments.processes, _stage, config, place))


def _stage(config: RunConfig, place: Place) -> None:
    """The run, in every process of it."""
    from regrow.train.distributed import joined

    with share(Path.cwd()), joined(place.torch_device()):
        importlib.import_module(MODULES[config.stage]).run(config, place)
