"""LiGO as its public code has it (Wang et al., ICLR 2023), carried over to ViTs: the code has no vision part.

    W2[l] = B_l (sum_j w[l, j] W1[j]) A_l^T      depth first, then width per large layer
    B = [I; R]                                   only R, the rows of the new channels, is learned

Ties as in `regrow.growth.ligo`; w is one for each weight and each bias, and for each of q, k and v.
Start: `stackbert_noisy` in depth, row-normalised uniform in width, so a new channel is a mean of all old ones.

Shapes: heads [L2, 3, D2 - D1, D1], mlp [L2, F2 - F1, F1], embed [D2 - D1, D1], depth [L2, L1] and [3, L2, L1].
"""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor

from regrow.config import ModelConfig
from regrow.errors import UserError
from regrow.expand import Maps
from regrow.growth.depth import depth_matrix
from regrow.growth.ligo import LAYERS, STREAM
from regrow.growth.operator import Operator
from regrow.models.vit import Tensors


class LigoCode(Operator):
    """The public code's LiGO, fitted through the task loss. Never function-preserving."""

    learned: ClassVar[bool] = True

    depth_noise: float = Field(default=0.03, ge=0, description="uniform noise on the layers that are not copied")

    def cores(self, source: ModelConfig, target: ModelConfig, generator: torch.Generator) -> Tensors:
        width, hidden = target.embed_dim - source.embed_dim, target.mlp_dim - source.mlp_dim
        if width < 0 or hidden < 0:
            raise UserError(
                f"growth needs a larger target: embed_dim {source.embed_dim} and mlp_dim {source.mlp_dim} cannot be "
                f"mapped to {target.embed_dim} and {target.mlp_dim}"
            )
        cores = {}
        if width:
            cores["embed"] = averaging((width, source.embed_dim), generator)
            cores["heads"] = averaging((target.depth, 3, width, source.embed_dim), generator)
        if hidden:
            cores["mlp"] = averaging((target.depth, hidden, source.mlp_dim), generator)
        for layer in LAYERS:
            for kind in ("weight", "bias"):
                copies = (3,) if layer == "attn.qkv" else ()
                cores[f"depth@blocks.{layer}.{kind}"] = self._depth(source, target, copies, generator)
        return cores

    def _depth(
        self, source: ModelConfig, target: ModelConfig, copies: tuple[int, ...], generator: torch.Generator
    ) -> Tensor:
        """[*copies, L2, L1]: stacking, with a little of every other layer; each row sums to 1."""
        stacked = depth_matrix("stack", source, target)
        noise = torch.rand((*copies, *stacked.shape), generator=generator, dtype=torch.float64)
        noisy = torch.where(stacked > 0, stacked, self.depth_noise * noise)
        return noisy / noisy.sum(-1, keepdim=True)

    def maps(self, cores: Tensors) -> Maps:
        depths = {axis: core for axis, core in cores.items() if axis.startswith("depth")}
        widths: Tensors = {}
        if "embed" in cores:
            heads = below_identity(cores["heads"])
            widths |= dict.fromkeys(STREAM, below_identity(cores["embed"]))
            widths |= {"heads": heads, "heads.in": heads[:, 2]}
        if "mlp" in cores:
            widths |= dict.fromkeys(("mlp", "mlp.in"), below_identity(cores["mlp"]))
        return Maps(terms=(depths,), then=Maps(terms=(widths,)))


def averaging(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """Uniform entries, each row divided by its sum."""
    weights = torch.rand(shape, generator=generator, dtype=torch.float64)
    return weights / weights.sum(-1, keepdim=True)


def below_identity(rows: Tensor) -> Tensor:
    """B = [I; R] [..., new, old] from R [..., new - old, old]."""
    identity = torch.eye(rows.shape[-1], dtype=rows.dtype, device=rows.device)
    return torch.cat([identity.expand(*rows.shape[:-2], -1, -1), rows], dim=-2)
