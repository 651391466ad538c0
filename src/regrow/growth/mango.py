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
from regrow.growth.depth import DepthRule, depth_matrix
from regrow.growth.fpi import copies, written_and_read
from regrow.growth.operator import Operator, noisy
from regrow.models.vit import Tensors


class Mango(Operator):
    """The four cores at `ranks` (R1, R2, R3, R4 around the ring), fitted through the task loss."""

    learned: ClassVar[bool] = True

    ranks: tuple[int, int, int, int] = (1, 1, 1, 1)
    depth: DepthRule = "stack"
    noise: float = Field(default=0.01, ge=0, description="normal noise on the cores, relative to their size")

    def cores(self, source: ModelConfig, target: ModelConfig, generator: torch.Generator) -> Tensors:
        written, read = written_and_read(
            copies("circular", source.embed_dim, target.embed_dim, generator), source.embed_dim
        )
        blocks, ratio = self._blocks(source, target, generator)
        layers = depth_matrix(self.depth, source, target)
        first, second, third, fourth = self.ranks
        ringed = {
            "ring.B": core(blocks, first, second),
            "ring.O": core(written, second, third),
            "ring.L": core(layers, third, fourth),
            "ring.I": core(read, fourth, first),
        }
        rest = {
            "embed": written,
            "embed.gain": written,
            "embed.shift": written,
            "embed.in": read,
            "heads": written,
            "mlp": torch.kron(ratio, written),
            "depth": layers,
        }
        return {name: noisy(tensor, self.noise, generator) for name, tensor in {**ringed, **rest}.items()}

    def _blocks(self, source: ModelConfig, target: ModelConfig, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """S_B's start [B2, B1], and its part for the k blocks of fc1's rows [k2, k1]."""
        small, large = source.mlp_ratio, target.mlp_ratio
        if small != int(small) or large != int(large):
            raise UserError(
                f"Mango cuts the MLP into D x D blocks: mlp_ratio must be a whole number, got {small} and {large}; "
                "LiGO and FPI take any"
            )
        written, read = written_and_read(copies("circular", int(small), int(large), generator), int(small))
        return torch.block_diag(torch.eye(4, dtype=torch.float64), written, read), written

    def maps(self, cores: Tensors) -> Maps:
        ring = Ring(B=cores["ring.B"], O=cores["ring.O"], L=cores["ring.L"], I=cores["ring.I"])
        rest = {axis: matrix for axis, matrix in cores.items() if not axis.startswith("ring.")}
        return Maps(terms=(rest,), ring=ring)


def core(matrix: Tensor, left: int, right: int) -> Tensor:
    """A core [left, old, new, right] whose first slice is `matrix` [new, old]."""
    slices = torch.zeros(left, *matrix.T.shape, right, dtype=torch.float64)
    slices[0, :, :, 0] = matrix.T
    return slices
