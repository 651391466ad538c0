"""Function-preserving initialisation: Net2Net (Chen et al., ICLR 2016) as bert2BERT (Chen et al., ACL 2022) uses it.

With g: large index -> small index and C_i the copies of i: where a tensor is written it is indexed by g, where it is
read it is indexed by g and divided by C, so that the copies sum to the original.

Shapes: g [new], the maps G and G / C [new, old].
"""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from regrow.config import ModelConfig
from regrow.errors import UserError
from regrow.growth.depth import DepthRule, depth_matrix
from regrow.growth.operator import Operator, break_symmetry, select
from regrow.models.vit import Tensors

Copies = Literal["circular", "random"]


def copies(rule: Copies, small: int, large: int, generator: torch.Generator) -> Tensor:
    """g [large]: the first `small` entries are themselves, the others `circular` (j mod small) or drawn at random."""
    if large < small:
        raise UserError(f"growth needs a larger target: an axis of {small} cannot be mapped to {large}")
    if rule == "circular":
        return torch.arange(large) % small
    return torch.cat([torch.arange(small), torch.randint(small, (large - small,), generator=generator)])


def head_copies(
    rule: Copies, source: ModelConfig, target: ModelConfig, generator: torch.Generator, *, whole: bool = True
) -> Tensor:
    """g [large] of the rows of q, k and v: whole heads. If not `whole`, a new head_dim makes it copy single rows.

    Raises:
        UserError: the head_dim changes, so that no whole head can be copied.
    """
    if source.head_dim != target.head_dim:
        if not whole:
            return copies(rule, source.embed_dim, target.embed_dim, generator)
        raise UserError(
            f"heads are copied whole: head_dim must stay {source.head_dim}, the target has {target.head_dim}; "
            f"give the target an embed_dim of num_heads x {source.head_dim}"
        )
    head = copies(rule, source.num_heads, target.num_heads, generator)
    return (head[:, None] * source.head_dim + torch.arange(source.head_dim)).flatten()


def written_and_read(index: Tensor, small: int) -> tuple[Tensor, Tensor]:
    """The matrices G and G / C, both [large, small]: for the side that is written and the side that is read."""
    written = select(index, small)
    return written, written / written.sum(0)


def fpi(
    rule: Copies, source: ModelConfig, target: ModelConfig, generator: torch.Generator, *, whole: bool = True
) -> Tensors:
    """FPI's matrix of every width axis."""
    embed = copies(rule, source.embed_dim, target.embed_dim, generator)
    mlp = copies(rule, source.mlp_dim, target.mlp_dim, generator)
    heads = head_copies(rule, source, target, generator, whole=whole)
    embed_written, embed_read = written_and_read(embed, source.embed_dim)
    mlp_written, mlp_read = written_and_read(mlp, source.mlp_dim)
    heads_written, heads_read = written_and_read(heads, source.embed_dim)
    return {
        "embed": embed_written,
        "embed.gain": embed_written,
        "embed.shift": embed_written,
        "embed.in": embed_read,
        "heads": heads_written,
        "heads.in": heads_read,
        "mlp": mlp_written,
        "mlp.in": mlp_read,
    }


class Fpi(Operator):
    """bert2BERT's FPI in width, then stacking or interpolation in depth.

    Exact (the grown model computes the source's function) when every channel has the same number of copies, that is
    with circular copies at an integer ratio, and with `noise` 0. LayerNorm's statistics forbid it otherwise.
    Copies of one channel get identical gradients for ever, so a little noise (Net2Net, section 4) sets them apart.
    """

    copies: Copies = "circular"
    depth: DepthRule = "stack"
    noise: float = Field(default=0.01, ge=0, description="in standard deviations of each grown matrix")

    def cores(self, source: ModelConfig, target: ModelConfig, generator: torch.Generator) -> Tensors:
        widths = fpi(self.copies, source, target, generator)
        return {**widths, "depth": depth_matrix(self.depth, source, target)}

    def finish(self, weights: Tensors, source: ModelConfig, target: ModelConfig, generator: torch.Generator) -> Tensors:
        return break_symmetry(weights, self.noise, generator)
