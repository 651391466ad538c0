"""What a run trains."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn
from torch.func import functional_call

from regrow.config import Recipe
from regrow.models.vit import Tensors
from regrow.train.batches import ImageTensors
from regrow.train.sub_models import FirstStage

Loss = Callable[[Tensor, Tensor, Tensor], Tensor]
"""(logits [B, K], images [B, C, H, W], labels [B], or probabilities [B, K] where pairs are mixed) -> a scalar."""


@dataclass(frozen=True, kw_only=True)
class Task:
    """What a run trains. `weights` maps the trained tensors to stacked ViT weights and must be differentiable.

    `loss` goes before cross-entropy with the recipe's label smoothing, `first_stage` before training the whole model;
    `fast` compiles the training step's forward and backward pass.
    """

    label: str
    model: nn.Module
    trained: Tensors
    weights: Callable[[Tensors], Mapping[str, Tensor]]
    decays: Callable[[str], bool]
    train: ImageTensors
    minival: ImageTensors
    recipe: Recipe
    seed: int
    flops_per_step: int
    loss: Loss | None = None
    first_stage: FirstStage | None = None
    fast: bool = False

    @cached_property
    def forward(self) -> Callable[[nn.Module, Tensors, Tensor], Tensor]:
        """The model's logits under given weights, compiled where the run is to be fast."""
        return torch.compile(_logits) if self.fast else _logits

    @property
    def models(self) -> list[nn.Module]:
        """Every model that a step may run."""
        return [self.model, *(self.first_stage.models.values() if self.first_stage else ())]

    def flops(self, step: int) -> int:
        """Training FLOPs of one step, of all processes."""
        first = self.first_stage
        return first.flops(step) if first and first.covers(step) else self.flops_per_step


def _logits(model: nn.Module, weights: Tensors, images: Tensor) -> Tensor:
    """No model here has tied weights; to look for some in every call takes a small model as long as its optimiser."""
    logits: Tensor = functional_call(model, weights, (images,), tie_weights=False)
    return logits
