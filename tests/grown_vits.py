"""Small ViTs that an operator has grown, and how far they are from what they were grown from."""

from __future__ import annotations

import torch
from torch.func import functional_call
from torch.nn.functional import cross_entropy

from regrow.config import ModelConfig
from regrow.growth.operator import grow
from regrow.models.vit import Tensors, unstack
from small_vits import images, logits, module, named, random_weights, relative, vit

EXACT = 1e-12
SMALL = vit(16, 2, 2)
TWICE = vit(32, 2, 4)


def grown(name: str, target: ModelConfig, source: ModelConfig = SMALL, seed: int = 0, **options: object) -> Tensors:
    return grow(named(name, **options), random_weights(source), source, target, seed)


def error(name: str, target: ModelConfig, source: ModelConfig = SMALL, **options: object) -> float:
    """How far the grown model's logits are from the source's."""
    found = logits(grown(name, target, source, **options), target)
    return relative(found, logits(random_weights(source), source))


def gradients(weights: Tensors, config: ModelConfig) -> Tensors:
    leaves = {name: tensor.clone().requires_grad_() for name, tensor in weights.items()}
    answer = functional_call(module(config), unstack(leaves), (images(config),))
    loss = cross_entropy(answer, torch.arange(len(answer)) % config.num_classes)
    return dict(zip(leaves, torch.autograd.grad(loss, list(leaves.values())), strict=True))
