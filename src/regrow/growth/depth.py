"""Growth in depth alone: which small layer each large layer copies.

Shapes: the depth matrix is [L_large, L_small].
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from regrow.config import ModelConfig
from regrow.errors import UserError
from regrow.growth.operator import Operator, select
from regrow.models.axes import axis_sizes
from regrow.models.vit import Tensors

DepthRule = Literal["stack", "interpolate"]


def depth_matrix(rule: DepthRule, source: ModelConfig, target: ModelConfig) -> Tensor:
    """`stack`: layer l copies l mod L_small (StackBERT). `interpolate`: floor(l * L_small / L_large).

    When L_large is not a multiple of L_small, stacking repeats the bottom layers (LiGO's code does too;
    bert2BERT's repeats the top).
    """
    if target.depth < source.depth:
        raise UserError(f"growth needs a deeper target: {source.depth} layers cannot be mapped to {target.depth}")
    layers = torch.arange(target.depth)
    index = layers % source.depth if rule == "stack" else layers * source.depth // target.depth
    return select(index, source.depth)


def identity_layers(rule: DepthRule, source: ModelConfig, target: ModelConfig) -> Tensors:
    """The depth axis where a layer's second and later copies write zero to the residual stream: they are the identity.

    They keep the copied q, k, v, fc1 and norms, so that proj and fc2 learn from the first step on.
    """
    matrix = depth_matrix(rule, source, target)
    writing = matrix * (matrix.cumsum(0) == 1)
    stream = [f"blocks.{layer}.{kind}" for layer in ("attn.proj", "mlp.fc2") for kind in ("weight", "bias")]
    return {"depth": matrix, **{f"depth@{name}": writing for name in stream}}


def _depth_only(rule: DepthRule, source: ModelConfig, target: ModelConfig) -> Tensors:
    small, large = axis_sizes(source), axis_sizes(target)
    wrong = [axis for axis in small if axis != "depth" and small[axis] != large[axis]]
    if wrong or source.num_heads != target.num_heads:
        raise UserError(
            f"a depth operator needs equal widths and heads; got {source} and {target}; grow the width first"
        )
    return {"depth": depth_matrix(rule, source, target)}


class StackBert(Operator):
    """StackBERT (Gong et al., ICML 2019): the trained layers, stacked on themselves."""

    def cores(self, source: ModelConfig, target: ModelConfig, generator: torch.Generator) -> Tensors:
        return _depth_only("stack", source, target)


class Interpolation(Operator):
    """Interpolation (Chang et al., ICLR 2018): each trained layer repeated in place."""

    def cores(self, source: ModelConfig, target: ModelConfig, generator: torch.Generator) -> Tensors:
        return _depth_only("interpolate", source, target)
