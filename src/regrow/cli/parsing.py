"""What the commands' arguments share: argparse's type of a group of commands, and the options of several."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TypeAlias

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"
"""What `add_subparsers` returns, and every module's `add` takes."""


def add_claims(command: argparse.ArgumentParser) -> None:
    """`--claims` and `--arithmetic`: what the verdicts on the papers' claims are made of, beside the records."""
    ledger, arithmetic = Path("params/claims.yaml"), Path("results/arithmetic/claims.csv")
    command.add_argument("--claims", type=Path, default=ledger, metavar="FILE", help="what the papers claim")
    command.add_argument("--arithmetic", type=Path, default=arithmetic, metavar="FILE", help="made by `regrow count`")


def add_partial(command: argparse.ArgumentParser) -> None:
    """`--partial`: the report of a tier that still runs."""
    command.add_argument("--partial", action="store_true", help="the report of what is done so far")


def add_device(command: argparse.ArgumentParser, *more: str) -> None:
    """`--device`, with `more` choices, and `--threads`."""
    command.add_argument("--device", default="cpu", choices=("cpu", "cuda", "auto", *more))
    command.add_argument("--threads", type=int, default=1)
