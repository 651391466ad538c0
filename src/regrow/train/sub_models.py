"""bert2BERT's first stage: for a share of the steps, train sub-models of random depth (Chen et al., ACL 2022, 4.4).

A step takes the lowest n * `layers` blocks, n drawn for that step, under the model's own norm and head; the uppermost
`layers` of them and the head learn. What is left open is chosen so: n is uniform, and the final norm learns too. The
other blocks get a gradient of zero, so their momentum and weight decay go on; the embeddings get none, and AdamW passes
over them until the second stage.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn

from regrow.config import ModelConfig, Recipe
from regrow.errors import UserError
from regrow.models.flops import BACKWARD, forward_flops
from regrow.models.vit import build
from regrow.train.seeds import derive

_BLOCK = re.compile(r"^blocks\.(\d+)\.")


@dataclass(frozen=True)
class FirstStage:
    """The steps 0 .. `steps` - 1 of a run of `recipe` on `config`."""

    config: ModelConfig
    recipe: Recipe
    steps: int
    layers: int
    seed: int

    def covers(self, step: int) -> bool:
        return step < self.steps

    def depth(self, step: int) -> int:
        """The sub-model's depth at a step."""
        generator = torch.Generator().manual_seed(derive(self.seed, "depth", step))
        return self.layers * (1 + int(torch.randint(self.config.depth // self.layers, (), generator=generator)))

    def cut(self, state: Mapping[str, Tensor], step: int) -> tuple[nn.Module, dict[str, Tensor]]:
        """The sub-model and its part of the state (timm's names), with a gradient only where the step trains."""
        depth = self.depth(step)
        part = {}
        for name, tensor in state.items():
            block = int(match[1]) if (match := _BLOCK.match(name)) else None
            if block is None or block < depth:
                trains = name.startswith(("head.", "norm.")) if block is None else block >= depth - self.layers
                part[name] = tensor if trains else tensor.detach()
        return self.models[depth].train(), part

    def flops(self, step: int) -> int:
        """Forward through the sub-model, backward through the blocks that learn and the head."""
        config = self.config
        block = _flops(config, 2) - _flops(config, 1)
        head = 2 * config.embed_dim * config.num_classes
        image = _flops(config, self.depth(step)) + BACKWARD * (self.layers * block + head)
        return self.recipe.batch_size * image

    @cached_property
    def models(self) -> dict[int, nn.Module]:
        depths = range(self.layers, self.config.depth + 1, self.layers)
        return {depth: build(_at(self.config, depth), drop_path=self.recipe.drop_path) for depth in depths}


def first_stage(config: ModelConfig, recipe: Recipe, train_size: int, seed: int) -> FirstStage | None:
    """The first stage that a recipe asks for, if it does.

    Raises:
        UserError: `sub_models.layers` does not divide the depth.
    """
    if recipe.sub_models is None:
        return None
    layers = recipe.sub_models.layers
    if config.depth % layers:
        raise UserError(f"sub_models.layers: {layers} does not divide the model's depth {config.depth}")
    steps = round(recipe.sub_models.share * recipe.steps(train_size))
    return FirstStage(config, recipe, steps, layers, seed)


def _at(config: ModelConfig, depth: int) -> ModelConfig:
    return config.model_copy(update={"depth": depth})


def _flops(config: ModelConfig, depth: int) -> int:
    return forward_flops(_at(config, depth))
