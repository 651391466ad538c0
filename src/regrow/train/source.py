"""A trained ViT from anywhere: a timm checkpoint's weights, and the architecture that they tell."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

from timm.models import load_state_dict
from torch import Tensor

from regrow.config import ModelConfig
from regrow.errors import UserError
from regrow.models.named import mlp_ratio
from regrow.models.vit import Tensors, check, stack
from regrow.train.checkpoint import load_tensors


@dataclass(frozen=True)
class Source:
    """A checkpoint as it was read: stacked float32 weights, and what its metadata tells, where regrow wrote it."""

    path: Path
    weights: Tensors
    metadata: Mapping[str, str]


def read_checkpoint(path: Path) -> Source:
    """Read a plain ViT's weights.

    Raises:
        UserError: what `read_state` raises, or not a plain ViT.
    """
    state, metadata = read_state(path)
    try:
        return Source(path, stack({name: tensor.float() for name, tensor in state.items()}), metadata)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error


def read_state(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """A state dict in timm's names, and its metadata where regrow wrote it.

    A pickle (.pth, .pt, .bin) is read by torch's weights-only loader, and {"model": ...} and {"state_dict": ...} are
    unwrapped, by timm's own `load_state_dict`.

    Raises:
        UserError: no such file, a damaged one, a pickle that holds code, or no state dict.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such file; give a timm checkpoint: .safetensors, or .pth, .pt, .bin")
    state, metadata = load_tensors(path) if path.suffix == ".safetensors" else (_unpickled(path), {})
    if wrong := sorted(str(name) for name, value in state.items() if not isinstance(value, Tensor)):
        raise UserError(f"{path}: expected a state dict of tensors, but {wrong[0]} is none; save model.state_dict()")
    return state, metadata


def _unpickled(path: Path) -> dict[str, Any]:
    try:
        return load_state_dict(str(path), use_ema=False, weights_only=True)
    except (RuntimeError, OSError, EOFError, AttributeError, UnpicklingError) as error:
        raise UserError(
            f"{path}: cannot be read as tensors alone, and code in a pickle is never run; if it is whole and you trust "
            f"it, save its state dict with safetensors.torch.save_file first ({error.__cause__ or error})"
        ) from error


def source_config(source: Source, like: ModelConfig, num_heads: int | None = None) -> ModelConfig:
    """The architecture that a checkpoint's shapes tell; a file that regrow grew has it in its metadata.

    Shapes tell no heads and no eps: heads default to as many as give `like`'s head_dim, `norm_eps` is `like`'s.

    Raises:
        UserError: a parameter of a plain ViT is missing, an image that is not square, heads that do not fit.
    """
    path, weights = source.path, source.weights
    if "model" in source.metadata:
        config = ModelConfig.model_validate_json(source.metadata["model"])
        if num_heads not in (None, config.num_heads):
            raise UserError(f"{path}: --source-heads {num_heads}, but by its metadata it has {config.num_heads}")
        check(weights, config, str(path))
        return config
    needed = ("patch_embed.proj.weight", "pos_embed", "blocks.mlp.fc1.weight", "head.weight")
    if missing := [name for name in needed if name not in weights]:
        raise UserError(
            f"{path}: no {missing[0]}, so not a whole ViT with its classifier; save the model's state_dict()"
        )
    embed_dim, in_chans, patch_size, _ = weights["patch_embed.proj.weight"].shape
    depth, mlp_dim, _ = weights["blocks.mlp.fc1.weight"].shape
    class_token = "cls_token" in weights
    patches = weights["pos_embed"].shape[1] - class_token
    if math.isqrt(patches) ** 2 != patches:
        raise UserError(f"{path}: pos_embed has {patches} patches, which is no square; only square images are known")
    if num_heads is None:
        num_heads, rest = divmod(embed_dim, like.head_dim)
        if rest:
            raise UserError(
                f"{path}: embed_dim {embed_dim} is not a multiple of the target's head_dim {like.head_dim}, and a "
                "checkpoint does not tell its heads; give --source-heads N"
            )
    if num_heads < 1 or embed_dim % num_heads:
        raise UserError(f"{path}: --source-heads {num_heads} does not divide its embed_dim {embed_dim}")
    config = ModelConfig(
        embed_dim=embed_dim,
        depth=depth,
        num_heads=num_heads,
        patch_size=patch_size,
        mlp_ratio=mlp_ratio(embed_dim, mlp_dim),
        class_token=class_token,
        img_size=math.isqrt(patches) * patch_size,
        num_classes=len(weights["head.weight"]),
        in_chans=in_chans,
        norm_eps=like.norm_eps,
    )
    check(weights, config, str(path))
    return config
