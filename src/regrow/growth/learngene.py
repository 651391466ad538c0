"""A learngene: a few entries on the depth axis that expand linearly into ViTs of any depth.

TLEG (Xia et al., AAAI 2024) has two, theta_B and theta_A: layer l of L is theta_B + (l - 1) / L theta_A, weights and
biases alike. Share-Init has one, which is every layer. The rest (patch and position embedding, norm, head) is there
once. The auxiliary net is the expansion to one depth; what is trained through it is the learngene.

A learngene is a basis like any other: on disk `blocks.0.*` is theta_B and `blocks.1.*` theta_A.
"""

from __future__ import annotations

import math

import torch

from regrow.config import BASIS_DEPTH, Kind, ModelConfig, basis_config
from regrow.errors import UserError
from regrow.expand import Maps
from regrow.growth.depth import depth_matrix, depth_only
from regrow.growth.operator import Operator, cast
from regrow.models.vit import Tensors, check, initial


class Tleg(Operator):
    """theta_B + (l - 1) / L theta_A: a descendant of any depth, at the learngene's width."""

    def cores(self, source: ModelConfig, target: ModelConfig, generator: torch.Generator) -> Tensors:
        return depth_only("tleg", source, target)


class ShareInit(Operator):
    """Every layer is the learngene's one layer."""

    def cores(self, source: ModelConfig, target: ModelConfig, generator: torch.Generator) -> Tensors:
        return depth_only("share", source, target)


def auxiliary_basis(auxiliary: ModelConfig, kind: Kind, seed: int) -> Tensors:
    """The learngene before training: timm's own initialisation of each entry, LayerNorm's gain 1 in theta_B alone.

    So both entries' matrices are normal with deviation 0.02 and all biases 0, as in TLEG's public code.
    """
    basis = initial(basis_config(auxiliary, kind), seed)
    if kind == "tleg":
        for norm in ("blocks.norm1.weight", "blocks.norm2.weight"):
            basis[norm][1] = 0
    return basis


def auxiliary_maps(auxiliary: ModelConfig, kind: Kind, basis: Tensors) -> Maps:
    """What expands a learngene to the auxiliary net's weights, in the precision and on the device of `basis`."""
    matrix = depth_matrix(kind, basis_config(auxiliary, kind), auxiliary)
    return Maps(terms=(cast({"depth": matrix}, basis),))


def architecture(learngene: Tensors, num_heads: int | None, origin: str) -> tuple[Kind, ModelConfig]:
    """The kind and the config of a learngene, read off its shapes.

    Weights do not know their heads: without `num_heads` they are of 64 channels, as DeiT's.

    Raises:
        UserError: no learngene, no square image, or a width that 64 does not divide and no `num_heads`.
    """
    entries, mlp_dim, embed_dim = learngene.get("blocks.mlp.fc1.weight", torch.empty(0, 0, 0)).shape
    kinds: dict[int, Kind] = {number: kind for kind, number in BASIS_DEPTH.items()}
    if entries not in kinds:
        raise UserError(
            f"{origin}: not a learngene: {entries} layers, where one has blocks.0 and blocks.1 (theta_B and theta_A), "
            "or blocks.0 alone (Share-Init)"
        )
    if num_heads is None and embed_dim % 64:
        raise UserError(f"{origin}: its width {embed_dim} is no multiple of 64, DeiT's head_dim; give --heads")
    kernel = learngene["patch_embed.proj.weight"]
    tokens = learngene["pos_embed"].shape[1] - int("cls_token" in learngene)
    config = ModelConfig(
        embed_dim=embed_dim,
        depth=entries,
        num_heads=num_heads or embed_dim // 64,
        patch_size=kernel.shape[-1],
        mlp_ratio=mlp_dim / embed_dim,
        class_token="cls_token" in learngene,
        img_size=math.isqrt(tokens) * kernel.shape[-1],
        num_classes=learngene["head.weight"].shape[0],
        in_chans=kernel.shape[1],
    )
    check(learngene, config, origin)
    return kinds[entries], config
