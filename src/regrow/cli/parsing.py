"""What the commands' arguments share: argparse's type of a group of commands, and the options of where to compute."""

from __future__ import annotations

import argparse
from typing import TypeAlias

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"
"""What `add_subparsers` returns, and every module's `add` takes."""


def add_device(command: argparse.ArgumentParser) -> None:
    """`--device` and `--threads`."""
    command.add_argument("--device", default="cpu", choices=("cpu", "cuda", "auto"))
    command.add_argument("--threads", type=int, default=1)
