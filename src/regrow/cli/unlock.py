"""`regrow unlock`: take away the lock of a dead Snakemake."""

from __future__ import annotations

import argparse
from pathlib import Path

from regrow.cli.parsing import Commands


def add(commands: Commands) -> None:
    """Add `unlock`."""
    command = commands.add_parser("unlock", help="take away the lock that a killed Snakemake left in this folder")
    command.set_defaults(command=_unlock, alone=True)


def _unlock(arguments: argparse.Namespace) -> None:
    from regrow.lock import unlock

    if unlock(Path.cwd()):
        print("the lock of a dead run is gone; checkpoints are kept")
