"""What a model of any depth inherits, layer by layer, from one trained model: its ancestor.

Everything outside the blocks is copied, the head too where the classes are the same. Layers without an ancestor are
the target's own fresh ones.

Shapes: the depth matrix is [L_target, L_ancestor], at most one 1 in each row.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor

from regrow.config import ModelConfig
from regrow.errors import UserError
from regrow.growth.depth import equal_widths
from regrow.growth.operator import Operator, select
from regrow.models.vit import Tensors, initial


class Identity(Operator):
    """Pre-training and fine-tuning: a trained model of the target's own architecture, copied."""

    def cores(self, source: ModelConfig, target: ModelConfig, generator: torch.Generator) -> Tensors:
        if source != target:
            raise UserError(
                f"identity copies a model of the same architecture; got {source} for {target}; "
                "pre-train one model for each target, or take truncate-stack"
            )
        return {}


class TruncateStack(Operator):
    """One trained model for every depth: layer l is its l mod L1, its first layers or all of them stacked."""

    def cores(self, source: ModelConfig, target: ModelConfig, generator: torch.Generator) -> Tensors:
        equal_widths(source, target)
        return {"depth": select(torch.arange(target.depth) % source.depth, source.depth)}


class AncestorLayers(Operator):
    """A few of the ancestor's layers are the learngene; each keeps its place, the other layers are fresh.

    Its two forms name the share of the ancestor's layers that the public code of Cluster-Learngene (Wang et al.,
    NeurIPS 2024) takes from DeiT's 12.
    """

    share: ClassVar[float]

    layers: int | None = Field(default=None, gt=0, description="of the ancestor; absent: the public code's share")

    def cores(self, source: ModelConfig, target: ModelConfig, generator: torch.Generator) -> Tensors:
        equal_widths(source, target)
        layers = self.layers or math.ceil(self.share * source.depth)
        if layers > source.depth:
            raise UserError(f"layers: {layers} of an ancestor that has {source.depth}; give at most {source.depth}")
        kept = min(layers, target.depth)
        matrix = torch.zeros(target.depth, source.depth, dtype=torch.float64)
        self._place(matrix, kept).fill_diagonal_(1)
        return {"depth": matrix}

    @abstractmethod
    def _place(self, matrix: Tensor, kept: int) -> Tensor:
        """The view [kept, kept] of the depth matrix where the learngene's layers go."""

    def finish(self, weights: Tensors, source: ModelConfig, target: ModelConfig, generator: torch.Generator) -> Tensors:
        fresh = initial(target, int(torch.randint(2**62, (), generator=generator)))
        bare = self.cores(source, target, generator)["depth"].sum(1) == 0
        return {
            name: _with_layers(weight, fresh[name].to(weight), bare) if name.startswith("blocks.") else weight
            for name, weight in weights.items()
        }


def _with_layers(weight: Tensor, fresh: Tensor, bare: Tensor) -> Tensor:
    """`weight` with the layers that are `bare` [L] taken from `fresh`."""
    return torch.where(bare.to(weight.device).reshape(-1, *[1] * (weight.ndim - 1)), fresh, weight)


class HeurLg(AncestorLayers):
    """Heur-LG (Wang et al., AAAI 2022): the ancestor's last layers are the target's last, below them fresh ones."""

    share: ClassVar[float] = 1 / 4

    def _place(self, matrix: Tensor, kept: int) -> Tensor:
        return matrix[-kept:, -kept:]


class AutoLg(AncestorLayers):
    """Auto-LG (Wang et al., 2023): the ancestor's first layers are the target's first, fresh ones stacked on them."""

    share: ClassVar[float] = 1 / 2

    def _place(self, matrix: Tensor, kept: int) -> Tensor:
        return matrix[:kept, :kept]
