"""`regrow grow`: one timm checkpoint into another, outside the study."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import yaml

from regrow.cli.parsing import Commands, add_device
from regrow.errors import UserError
from regrow.growth.registry import OPERATORS


def add(commands: Commands) -> None:
    """Add `grow`."""
    grow = commands.add_parser("grow", help="grow any timm ViT checkpoint into a larger timm ViT")
    grow.add_argument("--operator", required=True, metavar="NAME", help=", ".join(OPERATORS))
    grow.add_argument("--source", type=Path, metavar="FILE", help="safetensors, or a pickle of tensors (.pth, .pt)")
    grow.add_argument("--target", required=True, metavar="NAME", help="a plain ViT of timm: deit_base_patch16_224")
    grow.add_argument("--out", type=Path, required=True, metavar="FILE", help="the safetensors file to write")
    grow.add_argument(
        "--options", action="append", default=[], metavar="KEY=VALUE", help="of the operator, in YAML; repeatable"
    )
    grow.add_argument("--source-heads", type=int, metavar="N", help="default: as many as give the target's head_dim")
    grow.add_argument("--seed", type=int, default=0)
    grow.add_argument("--data", type=Path, metavar="FOLDER", help="a packed set: fit a learned operator on it")
    grow.add_argument("--fit-steps", type=int, default=100, metavar="N")
    grow.add_argument("--fit-batch", type=int, default=64, metavar="N")
    grow.add_argument(
        "--lr",
        type=float,
        action="append",
        metavar="RATE",
        help="a candidate for the fit, repeatable; minival chooses (default: 1e-4 3e-4 1e-3 3e-3)",
    )
    add_device(grow)
    grow.set_defaults(command=_grow)


def _grow(arguments: argparse.Namespace) -> None:
    options = _options(arguments.options)
    from regrow.grow import fit_recipe, grow_checkpoint
    from regrow.train.device import torch_device

    grown = grow_checkpoint(
        arguments.source,
        arguments.target,
        arguments.operator,
        options=options,
        source_heads=arguments.source_heads,
        data=arguments.data,
        fit=fit_recipe(arguments.fit_steps, arguments.fit_batch, arguments.lr),
        seed=arguments.seed,
        device=torch_device(arguments.device, arguments.threads),
    )
    grown.save(arguments.out)
    print(grown.summary())
    print(f"written   {arguments.out}\nload      {grown.load_call(arguments.out)}")


def _options(texts: list[str]) -> dict[str, Any]:
    """`key=value` with a YAML value, or a whole JSON object."""
    options: dict[str, Any] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        try:
            found = yaml.safe_load(text) if text.lstrip().startswith("{") else {key: yaml.safe_load(value)}
        except yaml.YAMLError as error:
            raise UserError(f"--options {text}: not valid YAML or JSON: {error}") from error
        if not isinstance(found, dict) or not (equals or text.lstrip().startswith("{")):
            raise UserError(f'--options {text}: expected KEY=VALUE, depth=stack say, or JSON: {{"depth": "stack"}}')
        options |= found
    return options
