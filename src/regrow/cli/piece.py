"""`regrow piece`: Snakemake for so many minutes."""

from __future__ import annotations

import argparse
import math

from regrow.cli.parsing import Commands
from regrow.errors import UserError


def add(commands: Commands) -> None:
    """Add `piece`."""
    piece = commands.add_parser("piece", help="run a command for so many minutes; its runs save their state and end")
    piece.add_argument("minutes", type=float)
    piece.add_argument("words", nargs=argparse.REMAINDER, metavar="COMMAND", help="snakemake --cores 4 ...")
    piece.set_defaults(command=_piece)


def _piece(arguments: argparse.Namespace) -> None:
    from regrow.piece import run

    if not 0 < arguments.minutes < math.inf:
        raise UserError(f"minutes: expected a number above 0, got {arguments.minutes:g}")
    if not arguments.words:
        raise UserError("expected a command after the minutes, for instance `regrow piece 8 snakemake --cores 4`")
    raise SystemExit(run(arguments.words, 60 * arguments.minutes))
