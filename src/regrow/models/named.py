"""The architecture of one of timm's ViTs, by its name."""

from __future__ import annotations

import difflib
import math
from itertools import zip_longest
from typing import Any

import timm
import torch
from timm.models.vision_transformer import VisionTransformer

from regrow.config import ModelConfig
from regrow.errors import UserError
from regrow.models.vit import build


def named_config(name: str) -> ModelConfig:
    """The architecture of timm's model `name`, built on the meta device: no memory, no weights.

    Raises:
        UserError: timm has no such model, or it is no plain ViT: layer scale, a distillation token, another attention.
    """
    if not timm.is_model(name):
        near = difflib.get_close_matches(name, timm.list_models(), n=1, cutoff=0.0)[0]
        raise UserError(f"{name}: timm has no such model; did you mean {near}?")
    with torch.device("meta"):
        model = timm.create_model(name)
    if not isinstance(model, VisionTransformer) or not hasattr(model.blocks[0], "attn"):
        raise UserError(f"{name}: not a plain ViT but a {type(model).__name__}; deit_small_patch16_224, say, is one")
    block: Any = model.blocks[0]
    embed_dim = model.embed_dim
    config = ModelConfig(
        embed_dim=embed_dim,
        depth=len(model.blocks),
        num_heads=block.attn.num_heads,
        patch_size=model.patch_embed.patch_size[0],
        mlp_ratio=mlp_ratio(embed_dim, block.mlp.fc1.out_features),
        class_token=model.cls_token is not None,
        img_size=model.patch_embed.img_size[0],
        num_classes=model.num_classes,
        in_chans=model.patch_embed.proj.in_channels,
        norm_eps=block.norm1.eps,
    )
    with torch.device("meta"):
        plain = build(config)
    if (where := _difference(model, plain)) is not None:
        raise UserError(f"{name}: not a plain ViT, it has {where}; deit_small_patch16_224, say, is one")
    return config


def _difference(model: VisionTransformer, plain: VisionTransformer) -> str | None:
    """The first module, parameter or way of pooling in which a model is not the plain ViT of its sizes."""
    for found, expected in zip_longest(repr(model).splitlines(), repr(plain).splitlines(), fillvalue="nothing"):
        if found != expected:
            return f"`{found.strip()}` for `{expected.strip()}`"
    if model.global_pool != plain.global_pool:
        return f"global_pool {model.global_pool!r} for {plain.global_pool!r}"
    shapes = {name: tensor.shape for name, tensor in plain.state_dict().items()}
    odd = [name for name, tensor in model.state_dict().items() if shapes.get(name) != tensor.shape]
    return odd[0] if odd else None


def mlp_ratio(embed_dim: int, mlp_dim: int) -> float:
    """The ratio of which timm makes `mlp_dim`, by rounding down."""
    ratio = mlp_dim / embed_dim
    return ratio if int(embed_dim * ratio) == mlp_dim else math.nextafter(ratio, math.inf)
