"""`regrow layers`: how linear a trained ViT's weights are in the layer's position."""

from __future__ import annotations

import argparse
from pathlib import Path

from regrow.cli.parsing import Commands


def add(commands: Commands) -> None:
    """Add `layers`."""
    layers = commands.add_parser(
        "layers", help="how linear a ViT's weights are in the layer's position (TLEG's premise)"
    )
    layers.add_argument(
        "checkpoints",
        type=Path,
        nargs="+",
        metavar="CHECKPOINT",
        help="safetensors, or a pickle of tensors (.pth, .pt)",
    )
    layers.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="for layers.{csv,svg,png,pdf}")
    layers.add_argument("--table", type=Path, metavar="FOLDER", help="for layers.csv instead")
    layers.set_defaults(command=_layers)


def _layers(arguments: argparse.Namespace) -> None:
    from regrow.layers.write import write_layers

    for path in write_layers(arguments.checkpoints, arguments.out, arguments.table or arguments.out):
        print(path)
