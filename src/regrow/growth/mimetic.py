"""Mimetic initialisation (Trockman and Kolter, ICML 2023): the statistics of trained attention, from no source.

    W_q^T W_k  ~ 0.7 Z + 0.7 I   in each head, the best approximation of rank head_dim
    W_proj W_v ~ 0.4 Z - 0.4 I   in each layer            Z normal with variance 1 / D

Each product is split evenly by its SVD, U sqrt(S) and sqrt(S) V^T. All else stays as timm initialises it.

Shapes: q, k, v [D, D] with the rows of head h together, [h * head_dim, (h + 1) * head_dim).
"""

from __future__ import annotations

import torch
from scipy.linalg import eigh
from torch import Tensor

from regrow.config import ModelConfig
from regrow.errors import UserError
from regrow.growth.operator import Operator
from regrow.models.vit import Tensors

QUERY_KEY = (0.7, 0.7)
VALUE_PROJ = (0.4, -0.4)
"""The papers' factors of Z and of I."""


class Mimetic(Operator):
    """A control: good statistics and nothing learned. Its basis is the target's own fresh weights."""

    def cores(self, source: ModelConfig, target: ModelConfig, generator: torch.Generator) -> Tensors:
        if source != target:
            raise UserError(
                f"mimetic initialisation has no source, its basis is the target's fresh weights; "
                f"got {source} for {target}; leave `source` out"
            )
        return {}

    def finish(self, weights: Tensors, source: ModelConfig, target: ModelConfig, generator: torch.Generator) -> Tensors:
        layers = [attention(target.embed_dim, target.num_heads, generator) for _ in range(target.depth)]
        qkv, proj = (torch.stack(parts).to(next(iter(weights.values()))) for parts in zip(*layers, strict=True))
        return {**weights, "blocks.attn.qkv.weight": qkv, "blocks.attn.proj.weight": proj}


def attention(embed_dim: int, num_heads: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """One layer's qkv [3, D, D] and proj [D, D]."""
    head_dim = embed_dim // num_heads
    heads = [halves(near_identity(embed_dim, *QUERY_KEY, generator), head_dim) for _ in range(num_heads)]
    query = torch.cat([left.T for left, _ in heads])
    key = torch.cat([right for _, right in heads])
    proj, value = halves(near_identity(embed_dim, *VALUE_PROJ, generator), embed_dim)
    return torch.stack([query, key, value]), proj


def near_identity(size: int, normal: float, identity: float, generator: torch.Generator) -> Tensor:
    """normal * Z + identity * I, [D, D]."""
    noise: Tensor = torch.randn(size, size, generator=generator, dtype=torch.float64) / size**0.5
    return normal * noise + identity * torch.eye(size, dtype=torch.float64)


def halves(product: Tensor, rank: int) -> tuple[Tensor, Tensor]:
    """U sqrt(S) [D, rank] and sqrt(S) V^T [rank, D] of the `rank` largest singular values.

    Where they are few, S^2 and V are the largest eigenpairs of P^T P: LAPACK finds these alone, three times as fast.
    """
    size = len(product)
    if rank == size:
        left, values, right = torch.linalg.svd(product)
        return left * values.sqrt(), values.sqrt()[:, None] * right
    squares, vectors = eigh((product.T @ product).numpy(), subset_by_index=[size - rank, size - 1])
    root = torch.from_numpy(squares) ** 0.25
    right = torch.from_numpy(vectors)
    return product @ right / root, (right * root).T
