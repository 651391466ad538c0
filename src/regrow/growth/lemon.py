"""LEMON: lossless model expansion (Wang et al., ICLR 2024), for any width ratio and any depth.

The stream repeats the D1 channels k = D2 // D1 times and fills the rest, the residue, with their mean (`embed`).
LayerNorm's output there is its bias, 0, so the columns that read the residue are free. Heads and neurons are copied
circularly; where c copies of an input are read, the columns are a random split that sums to the original,

    W2 = W1 (G / C)^T + Z - Z (G / C) G^T,   Z normal

which sets the copies apart and changes nothing. A new layer writes zero to the stream.
"""

from __future__ import annotations

import math

import torch
from pydantic import Field
from torch import Tensor

from regrow.config import ModelConfig
from regrow.errors import UserError
from regrow.growth.depth import DepthRule, identity_layers
from regrow.growth.fpi import copies, head_copies, written_and_read
from regrow.growth.norm import variance_scale, with_scaled_eps
from regrow.growth.operator import Operator
from regrow.models.axes import AXES
from regrow.models.vit import Tensors


class Lemon(Operator):
    """Exact for every pair of widths and depths; the target needs the `norm_eps` of `with_scaled_eps`."""

    depth: DepthRule = "interpolate"
    noise: float = Field(default=0.02, ge=0, description="standard deviation of Z; timm initialises with 0.02")

    def cores(self, source: ModelConfig, target: ModelConfig, generator: torch.Generator) -> Tensors:
        expected = with_scaled_eps(source, target).norm_eps
        if not math.isclose(target.norm_eps, expected, rel_tol=1e-9):
            raise UserError(
                f"LEMON is lossless only with norm_eps {expected:g} in the target, got {target.norm_eps:g}; "
                "let `regrow.growth.registry.target_config` make the target"
            )
        copied = copied_columns(source, target, generator)
        stream, gain = self._stream(source, target)
        heads, heads_read = written_and_read(copied["heads.in"], source.embed_dim)
        mlp, mlp_read = written_and_read(copied["mlp.in"], source.mlp_dim)
        shift = torch.zeros_like(stream)
        shift[: len(copied["embed.in"])] = stream[: len(copied["embed.in"])]
        return {
            "embed": stream,
            "embed.gain": gain,
            "embed.shift": shift,
            "embed.in": shift / shift.sum(0),
            "heads": heads,
            "heads.in": heads_read,
            "mlp": mlp,
            "mlp.in": mlp_read,
            **identity_layers(self.depth, source, target),
        }

    def _stream(self, source: ModelConfig, target: ModelConfig) -> tuple[Tensor, Tensor]:
        """The stream's map [D2, D1], mean in the residue, and the gain's: the same times sqrt(c)."""
        copied, residue = divmod(target.embed_dim, source.embed_dim)
        small = source.embed_dim
        mean = torch.full((residue, small), 1 / small, dtype=torch.float64)
        stream = torch.cat([torch.eye(small, dtype=torch.float64).repeat(copied, 1), mean])
        return stream, stream * math.sqrt(variance_scale(source, target))

    def finish(self, weights: Tensors, source: ModelConfig, target: ModelConfig, generator: torch.Generator) -> Tensors:
        copied = copied_columns(source, target, generator)
        return {
            name: weight + self._split(weight, copied[AXES[name][-1]], generator)
            if AXES[name][-1] in copied
            else weight
            for name, weight in weights.items()
        }

    def _split(self, weight: Tensor, index: Tensor, generator: torch.Generator) -> Tensor:
        """Z [..., out, new] less its mean over the copies of each input; the residue's columns keep Z."""
        normal = self.noise * torch.randn(weight.shape, generator=generator).to(weight)
        index = index.to(weight.device)
        among = normal[..., : len(index)]
        sums = among.new_zeros(*among.shape[:-1], int(index.max()) + 1).index_add_(-1, index, among)
        return torch.cat([among - (sums / index.bincount())[..., index], normal[..., len(index) :]], dim=-1)


def copied_columns(source: ModelConfig, target: ModelConfig, generator: torch.Generator) -> Tensors:
    """g [copies] of every axis that is read. The stream's has whole rounds only: its residue is no copy."""
    whole = target.embed_dim // source.embed_dim * source.embed_dim
    return {
        "embed.in": copies("circular", source.embed_dim, whole, generator),
        "heads.in": head_copies("circular", source, target, generator),
        "mlp.in": copies("circular", source.mlp_dim, target.mlp_dim, generator),
    }
