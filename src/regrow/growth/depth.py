"""Growth in depth alone: which small layer each large layer copies, or mixes.

Shapes: the depth matrix is [L_large, L_small].
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from regrow.config import BASIS_DEPTH, Kind, ModelConfig
from regrow.errors import UserError
from regrow.growth.operator import Operator, select
from regrow.models.axes import axis_sizes
from regrow.models.vit import Tensors

DepthRule = Literal["stack", "interpolate", "tleg", "share"]
"""The first two copy a trained model's layers, the others expand a learngene."""


def depth_matrix(rule: DepthRule, source: ModelConfig, target: ModelConfig) -> Tensor:
    """How each large layer is made of the small ones, [L_large, L_small].

    `stack`: layer l copies l mod L_small (StackBERT). `interpolate`: floor(l * L_small / L_large). When L_large is not
    a multiple of L_small, stacking repeats the bottom layers (LiGO's code does too; bert2BERT's repeats the top).
    `tleg`: theta_B + (l - 1) / L_large theta_A for l = 1..L_large (TLEG). `share`: one layer everywhere.
    """
    if rule == "tleg" or rule == "share":
        return _learngene_matrix(rule, source, target)
    if target.depth < source.depth:
        raise UserError(f"growth needs a deeper target: {source.depth} layers cannot be mapped to {target.depth}")
    layers = torch.arange(target.depth)
    index = layers % source.depth if rule == "stack" else layers * source.depth // target.depth
    return select(index, source.depth)


def _learngene_matrix(kind: Kind, source: ModelConfig, target: ModelConfig) -> Tensor:
    """[1, (l - 1) / L] in each row for the pair (theta_B, theta_A), [1] for a shared layer."""
    if source.depth != BASIS_DEPTH[kind]:
        raise UserError(
            f"depth: {kind} expands a learngene of {BASIS_DEPTH[kind]} entries, the source has {source.depth} layers; "
            "give it a learngene, or take stack or interpolate for a trained model"
        )
    ones = torch.ones(target.depth, dtype=torch.float64)
    if kind == "share":
        return ones[:, None]
    return torch.stack([ones, torch.arange(target.depth, dtype=torch.float64) / target.depth], dim=1)


def needs_copies(rule: DepthRule, why: str) -> None:
    """Refuse a learngene's rule where layers must be copies of a trained model's layers."""
    if rule == "tleg" or rule == "share":
        raise UserError(f"depth: {rule} expands a learngene, and {why}; take stack or interpolate")


def identity_layers(rule: DepthRule, source: ModelConfig, target: ModelConfig) -> Tensors:
    """The depth axis where a layer's second and later copies write zero to the residual stream: they are the identity.

    They keep the copied q, k, v, fc1 and norms, so that proj and fc2 learn from the first step on.
    """
    needs_copies(rule, "its layers cannot be the identity")
    matrix = depth_matrix(rule, source, target)
    writing = matrix * (matrix.cumsum(0) == 1)
    stream = [f"blocks.{layer}.{kind}" for layer in ("attn.proj", "mlp.fc2") for kind in ("weight", "bias")]
    return {"depth": matrix, **{f"depth@{name}": writing for name in stream}}


def equal_widths(source: ModelConfig, target: ModelConfig) -> None:
    """Refuse a pair that differs in more than its depth."""
    small, large = axis_sizes(source), axis_sizes(target)
    wrong = [axis for axis in small if axis != "depth" and small[axis] != large[axis]]
    if wrong or source.num_heads != target.num_heads:
        raise UserError(
            f"a depth operator needs equal widths and heads; got {source} and {target}; grow the width first"
        )


def depth_only(rule: DepthRule, source: ModelConfig, target: ModelConfig) -> Tensors:
    """The maps of an operator that changes nothing but the depth."""
    equal_widths(source, target)
    return {"depth": depth_matrix(rule, source, target)}


class StackBert(Operator):
    """StackBERT (Gong et al., ICML 2019): the trained layers, stacked on themselves."""

    def cores(self, source: ModelConfig, target: ModelConfig, generator: torch.Generator) -> Tensors:
        return depth_only("stack", source, target)


class Interpolation(Operator):
    """Interpolation (Chang et al., ICLR 2018): each trained layer repeated in place."""

    def cores(self, source: ModelConfig, target: ModelConfig, generator: torch.Generator) -> Tensors:
        return depth_only("interpolate", source, target)
