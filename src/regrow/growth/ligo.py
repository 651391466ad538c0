"""LiGO: a learned linear growth operator (Wang et al., ICLR 2023), re-derived for ViTs; the paper's form.

    W2[l] = sum_j w[l, j] B_j W1[j] A_j^T        width per small layer j, then depth

The ties: B_emb writes and reads the residual stream, in every layer; A of attn.proj = B_v; A of fc2 =
B_fc1; biases and LayerNorm by the out-map of their layer. One w for each of q, k, v, o, fc1, fc2 and each norm.

Shapes: heads [L1, 3, D2, D1], mlp [L1, F2, F1], embed [D2, D1], depth [L2, L1] and [3, L2, L1] for q, k, v.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor

from regrow.config import ModelConfig
from regrow.expand import Maps
from regrow.growth.depth import DepthRule, depth_matrix
from regrow.growth.fpi import fpi
from regrow.growth.operator import Operator, noisy
from regrow.models.vit import Tensors

STREAM = ("embed", "embed.gain", "embed.shift", "embed.in")
LAYERS = ("norm1", "attn.qkv", "attn.proj", "norm2", "mlp.fc1", "mlp.fc2")


class Ligo(Operator):
    """The paper's LiGO, fitted through the task loss.

    The start is our choice, the nearest to function-preserving that the ties allow: stacking in
    depth, and each map that both writes and reads is G / sqrt(C), so that writing and reading together give 1. Only
    the GELU and LayerNorm's eps stand between it and the source's function at an integer ratio.
    """

    learned: ClassVar[bool] = True

    depth: DepthRule = "stack"
    noise: float = Field(default=0.01, ge=0, description="normal noise on the maps, relative to their size")

    def cores(self, source: ModelConfig, target: ModelConfig, generator: torch.Generator) -> Tensors:
        start = fpi("circular", source, target, generator, whole=False)
        heads, mlp = start["heads"], start["mlp"]
        cores = {
            "embed": balanced(start["embed"]),
            "heads": torch.stack([heads, heads, balanced(heads)]).repeat(source.depth, 1, 1, 1),
            "mlp": balanced(mlp).repeat(source.depth, 1, 1),
            **self._depths(source, target),
        }
        return {name: noisy(core, self.noise, generator) for name, core in cores.items()}

    def _depths(self, source: ModelConfig, target: ModelConfig) -> Tensors:
        matrix = depth_matrix(self.depth, source, target)
        return {f"depth.{layer}": matrix.repeat(3, 1, 1) if layer == "attn.qkv" else matrix for layer in LAYERS}

    def maps(self, cores: Tensors) -> Maps:
        stream = dict.fromkeys(STREAM, cores["embed"])
        widths = {
            "heads": cores["heads"],
            "heads.in": cores["heads"][:, 2],
            "mlp": cores["mlp"],
            "mlp.in": cores["mlp"],
        }
        return Maps(terms=({**stream, **widths, **depth_terms(cores)},))


def balanced(written: Tensor) -> Tensor:
    """G / sqrt(C): one map for both sides, whose writing and reading together preserve what is copied."""
    return written / written.sum(0).sqrt()


def depth_terms(cores: Tensors) -> Tensors:
    """`depth.<layer>` of the cores as the depth axis of that layer's weight and bias."""
    return {f"depth@blocks.{layer}.{kind}": cores[f"depth.{layer}"] for layer in LAYERS for kind in ("weight", "bias")}


class LigoUntied(Ligo):
    """LiGO without the ties: every side that is read has its own map, so that it can start at FPI exactly.

    At an integer ratio and with `noise` 0 the start is function-preserving.
    """

    def cores(self, source: ModelConfig, target: ModelConfig, generator: torch.Generator) -> Tensors:
        start = fpi("circular", source, target, generator, whole=False)
        cores = {axis: start[axis] for axis in STREAM}
        cores |= {axis: start[axis].repeat(source.depth, 1, 1) for axis in ("heads.in", "mlp", "mlp.in")}
        cores |= {"heads": start["heads"].repeat(source.depth, 3, 1, 1), **self._depths(source, target)}
        return {name: noisy(core, self.noise, generator) for name, core in cores.items()}

    def maps(self, cores: Tensors) -> Maps:
        widths = {axis: core for axis, core in cores.items() if not axis.startswith("depth.")}
        return Maps(terms=({**widths, **depth_terms(cores)},))
