"""`regrow data`: build one image set."""

from __future__ import annotations

import argparse
from pathlib import Path

from regrow.cli.parsing import Commands
from regrow.errors import UserError


def add(commands: Commands) -> None:
    """Add `data`."""
    data = commands.add_parser("data", help="build one image set: fetch, verify, pack, split")
    data.add_argument("name", help="a registered set, or 'list'")
    data.add_argument("--img-size", type=int, default=28, metavar="PX")
    data.add_argument("--minival", type=_number, default=0.1, help="images held out of train: a number or a share")
    data.add_argument("--seed", type=int, default=0)
    data.add_argument("--out", type=Path, help="the folder to write")
    data.add_argument("--cache", type=Path, help="where downloads are kept (default: $REGROW_CACHE or ~/.cache/regrow)")
    data.set_defaults(command=_data)


def _number(text: str) -> int | float:
    value = float(text)
    return value if value < 1 else int(value)


def _data(arguments: argparse.Namespace) -> None:
    from regrow.data import SETS, pack
    from regrow.data.registry import find_set

    if arguments.name == "list":
        for name, image_set in SETS.items():
            counts = f"{image_set.num_classes:5} classes  {image_set.train:6} / {image_set.test:6}"
            print(f"{name:15} {counts}  {image_set.what}")
        return
    find_set(arguments.name)
    if not arguments.out:
        raise UserError("give --out FOLDER")
    manifest = pack(
        arguments.name,
        img_size=arguments.img_size,
        seed=arguments.seed,
        minival=arguments.minival,
        out=arguments.out,
        cache=arguments.cache,
    )
    print(f"data {manifest.name}: {dict(manifest.counts)} in {arguments.out}")
