"""`regrow count`: the papers' arithmetic from real timm models, without training."""

from __future__ import annotations

import argparse
from pathlib import Path

from regrow.cli.parsing import Commands


def add(commands: Commands) -> None:
    """Add `count`."""
    count = commands.add_parser("count", help="the papers' parameter counts and cost claims, computed; no training")
    count.add_argument(
        "--out", type=Path, required=True, metavar="FOLDER", help="for parameters and claims, csv and md"
    )
    count.set_defaults(command=_count)


def _count(arguments: argparse.Namespace) -> None:
    from regrow.arithmetic.tables import write_tables

    for path in write_tables(arguments.out):
        print(path)
