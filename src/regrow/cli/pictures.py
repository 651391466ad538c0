"""`regrow pictures`: every operator's maps as a figure."""

from __future__ import annotations

import argparse
from pathlib import Path

from regrow.cli.parsing import Commands


def add(commands: Commands) -> None:
    """Add `pictures`."""
    pictures = commands.add_parser("pictures", help="draw every operator's maps, one SVG each")
    pictures.add_argument("--out", type=Path, required=True, metavar="FOLDER")
    pictures.set_defaults(command=_pictures)


def _pictures(arguments: argparse.Namespace) -> None:
    from regrow.growth.registry import OPERATORS
    from regrow.pictures import draw

    for name in OPERATORS:
        print(draw(name, arguments.out))
