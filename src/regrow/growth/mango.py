"""Mango: multi-linear operators for growing (Pan et al., NeurIPS 2023).

M2[b', i', o', l'] = sum over r1..r4 of S_B S_O S_L S_I M1[b, i, o, l], a tensor ring over the block matrices of all
layers (`regrow.expand.Ring`). With every rank 1 it is one matrix per mode, a Kronecker product.

The paper leaves open what follows; ours is a choice, stated in docs/operators.md: the cores start at FPI's matrices
(function-preserving at an integer ratio), every further rank at zero but for the noise; biases, LayerNorm,
embeddings and head go by the per-axis matrices of FPI, trained too.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor

from regrow.config import ModelConfig
from regrow.errors import UserError
from regrow.expand import Maps, Ring
from regrow.growth.depth import DepthRule
from regrow.growth.fpi import Fpi
from regrow.growth.operator import Operator
from regrow.models.vit import Tensors


class Mango(Operator):
    """The four cores at `ranks` (R1, R2, R3, R4 around the ring), fitted through the task loss."""

    learned: ClassVar[bool] = True

    ranks: tuple[int, int, int, int] = (1, 1, 1, 1)
    depth: DepthRule = "stack"
    noise: float = Field(default=0.01, ge=0, description="normal noise on the cores, relative to their size")

    def cores(self, source: ModelConfig, target: ModelConfig, generator: torch.Generator) -> Tensors:
        if source.mlp_ratio != target.mlp_ratio or source.mlp_ratio != int(source.mlp_ratio):
            raise UserError(
                f"Mango cuts the MLP into D x D blocks: both mlp_ratio must be the same whole number, "
                f"got {source.mlp_ratio} and {target.mlp_ratio}"
            )
        start = Fpi(depth=self.depth, noise=0.0).cores(source, target, generator)
        blocks = torch.eye(4 + 2 * int(source.mlp_ratio), dtype=torch.float64)
        first, second, third, fourth = self.ranks
        ringed = {
            "ring.B": self._core(blocks, first, second, generator),
            "ring.O": self._core(start["embed"].T, second, third, generator),
            "ring.L": self._core(start["depth"].T, third, fourth, generator),
            "ring.I": self._core(start["embed.in"].T, fourth, first, generator),
        }
        whole_blocks = torch.block_diag(*[start["embed"]] * int(source.mlp_ratio))
        rest = {
            "embed": start["embed"],
            "embed.gain": start["embed.gain"],
            "embed.shift": start["embed.shift"],
            "embed.in": start["embed.in"],
            "heads": start["embed"],
            "mlp": whole_blocks,
            "depth": start["depth"],
        }
        return {**ringed, **{axis: self._noisy(matrix, generator) for axis, matrix in rest.items()}}

    def maps(self, cores: Tensors) -> Maps:
        ring = Ring(B=cores["ring.B"], O=cores["ring.O"], L=cores["ring.L"], I=cores["ring.I"])
        return Maps(terms=({axis: core for axis, core in cores.items() if not axis.startswith("ring.")},), ring=ring)

    def _noisy(self, matrix: Tensor, generator: torch.Generator) -> Tensor:
        """Noise of about `noise` times the largest entry in every singular direction, whatever the size."""
        scale = self.noise * matrix.abs().max() / max(matrix.shape) ** 0.5
        noise: Tensor = scale * torch.randn(matrix.shape, generator=generator, dtype=matrix.dtype)
        return matrix + noise

    def _core(self, matrix: Tensor, left: int, right: int, generator: torch.Generator) -> Tensor:
        """A core [left, old, new, right] whose first slice is `matrix` [old, new]."""
        core = torch.zeros(left, *matrix.shape, right, dtype=torch.float64)
        core[0, :, :, 0] = matrix
        return self._noisy(core, generator)
