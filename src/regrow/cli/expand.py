"""`regrow expand`: one learngene, a ViT of any depth."""

from __future__ import annotations

import argparse
from pathlib import Path

from regrow.cli.parsing import Commands
from regrow.errors import UserError


def add(commands: Commands) -> None:
    """Add `expand`."""
    expand = commands.add_parser("expand", help="expand a learngene into a ViT of the given depth")
    expand.add_argument("--learngene", type=Path, required=True, metavar="FILE", help="its safetensors file")
    expand.add_argument("--depth", type=int, required=True, metavar="L", help="layers of the ViT")
    expand.add_argument(
        "--out", type=Path, required=True, metavar="FILE", help="the checkpoint to write; its summary goes beside it"
    )
    expand.add_argument("--heads", type=int, metavar="N", help="attention heads (default: one for 64 channels)")
    expand.set_defaults(command=_expand)


def _expand(arguments: argparse.Namespace) -> None:
    for option in ("depth", "heads"):
        value = getattr(arguments, option)
        if value is not None and value < 1:
            raise UserError(f"--{option} {value}: give 1 or more")
    from regrow.config import OperatorConfig
    from regrow.growth.learngene import architecture
    from regrow.growth.operator import grow
    from regrow.growth.registry import operator
    from regrow.models.vit import stack, unstack
    from regrow.records import write_json
    from regrow.train.checkpoint import load_tensors, save_tensors

    state, metadata = load_tensors(arguments.learngene)
    basis = stack(state)
    kind, source = architecture(basis, arguments.heads, str(arguments.learngene))
    target = source.model_copy(update={"depth": arguments.depth})
    name = {"tleg": "tleg", "share": "share-init"}[kind]
    weights = grow(operator(OperatorConfig(name=name)), basis, source, target, seed=0)
    checksum = save_tensors(arguments.out, unstack(weights))
    summary = {
        "learngene_sha256": metadata["sha256"],
        "operator": name,
        "model": target.model_dump(mode="json"),
        "parameters": sum(tensor.numel() for tensor in weights.values()),
        "learngene_parameters": sum(tensor.numel() for tensor in basis.values()),
        "weights_sha256": checksum,
    }
    write_json(arguments.out.with_suffix(".json"), summary)
    print(
        f"{arguments.out}: {target.depth} layers of width {target.embed_dim} by {name}, "
        f"{summary['parameters']:,} parameters from the learngene's {summary['learngene_parameters']:,}"
    )
