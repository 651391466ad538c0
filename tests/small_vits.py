"""ViTs that fit on a page: configs, random float64 weights with nothing at zero or one, and timm's own forward pass."""

from __future__ import annotations

import functools
from typing import Any

import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor
from torch.func import functional_call

from regrow.config import ModelConfig, OperatorConfig
from regrow.growth.operator import Operator
from regrow.growth.registry import operator
from regrow.models.axes import shapes
from regrow.models.vit import Tensors, build, unstack


def vit(embed_dim: int, depth: int, num_heads: int, mlp_ratio: float = 4.0, **more: Any) -> ModelConfig:
    """4 x 4 pixels, 2 x 2 patches, 3 classes; a large eps, so that a wrong one shows."""
    sizes = {"patch_size": 2, "img_size": 4, "num_classes": 3, "norm_eps": 1e-2, **more}
    return ModelConfig(embed_dim=embed_dim, depth=depth, num_heads=num_heads, mlp_ratio=mlp_ratio, **sizes)


def random_weights(config: ModelConfig, seed: int = 0) -> Tensors:
    """Every parameter normal, scaled so that a trained model's statistics are about right."""
    generator = torch.Generator().manual_seed(seed)
    found = {}
    for name, shape in shapes(config).items():
        normal = torch.randn(shape, generator=generator, dtype=torch.float64)
        matrix = name.endswith("weight") and "norm" not in name
        found[name] = normal / shape[-1] ** 0.5 if matrix else 0.3 * normal + float("norm" in name)
    return found


def images(config: ModelConfig, number: int = 4) -> Tensor:
    shape = (number, config.in_chans, config.img_size, config.img_size)
    return torch.randn(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@functools.cache
def module(config: ModelConfig) -> VisionTransformer:
    return build(config).double().eval()


def logits(weights: Tensors, config: ModelConfig) -> Tensor:
    return functional_call(module(config), unstack(weights), (images(config),))


def named(name: str, **options: Any) -> Operator:
    return operator(OperatorConfig(name=name, options=options))


def relative(found: Tensor, expected: Tensor) -> float:
    """Largest difference, relative to the largest value expected."""
    return float((found - expected).abs().max() / expected.abs().max())
