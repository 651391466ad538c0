"""The one idea: every method is a linear map from a small set of tensors (the basis) to the weights of a ViT.

    weights = expand(basis, maps)

    large[l] = sum over terms t, layers k of  depth_t[l, k] * out_t . small[k] . in_t^T

with one matrix per named axis (see `regrow.models.axes`); an axis without a matrix is mapped by the identity.
Plain training is the identity on every axis, a learned operator trains the matrices, a learngene trains the basis.
Mango (NeurIPS 2023) maps the block matrices of all layers at once by a ring of four cores instead.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from regrow.models.axes import AXES, MATRICES

Term = Mapping[str, Tensor]
"""Axis name -> matrix [new, old], or [..., new, old] with the parameter's leading axes (one matrix per layer)."""


@dataclass(frozen=True, kw_only=True)
class Ring:
    """Mango's tensor-ring matrix product operator: S = trace of S_B S_O S_L S_I around the ring.

    Shapes: B [r1, b_old, b_new, r2], O [r2, o_old, o_new, r3], L [r3, l_old, l_new, r4], I [r4, i_old, i_new, r1].
    """

    B: Tensor
    O: Tensor  # noqa: E741 (the paper's name)
    L: Tensor
    I: Tensor  # noqa: E741 (the paper's name)


@dataclass(frozen=True, kw_only=True)
class Maps:
    """What `expand` applies: a sum of per-axis terms, and for the block matrices a ring where there is one."""

    terms: tuple[Term, ...] = field(default=({},))
    ring: Ring | None = None


def expand(basis: Mapping[str, Tensor], maps: Maps) -> dict[str, Tensor]:
    """Map a basis of stacked ViT parameters to the weights of another ViT. Differentiable in both arguments."""
    weights = {
        name: torch.stack([_mapped(name, tensor, term) for term in maps.terms]).sum(0)
        if len(maps.terms) > 1
        else _mapped(name, tensor, maps.terms[0])
        for name, tensor in basis.items()
        if maps.ring is None or name not in MATRICES
    }
    if maps.ring is not None:
        weights.update(split_blocks(ring(join_blocks(basis), maps.ring)))
    return weights


def _mapped(name: str, tensor: Tensor, term: Term) -> Tensor:
    """One parameter under one term: a matrix product per axis, the widths first, then the depth."""
    for position, axis in reversed(list(enumerate(AXES[name]))):
        if axis in term:
            tensor = along(tensor, position, term[axis])
    return tensor


def along(tensor: Tensor, position: int, matrix: Tensor) -> Tensor:
    """Mode product: new[..., j, ...] = sum_i matrix[j, i] * tensor[..., i, ...] along axis `position`.

    A matrix with leading axes [..., new, old] differs along the first axes of `tensor`: one a layer, say.
    """
    last = tensor.movedim(position, -1)
    leading = matrix.ndim - 2
    if leading == last.ndim - 1:
        return (matrix @ last.unsqueeze(-1)).squeeze(-1).movedim(-1, position)
    spread = matrix.mT.reshape(*matrix.shape[:-2], *[1] * (last.ndim - 2 - leading), *matrix.mT.shape[-2:])
    return (last @ spread).movedim(-1, position)


def join_blocks(basis: Mapping[str, Tensor]) -> Tensor:
    """The block matrices of all layers as one tensor M [B, I, O, L] of D x D blocks.

    The order of the blocks: q, k, v, o, fc1 cut by rows into F / D blocks, fc2 cut by columns likewise, so B = 4 + 2k.
    """
    qkv, proj, fc1, fc2 = (basis[name] for name in MATRICES)
    embed = proj.shape[-1]
    blocks = torch.cat(
        [qkv, proj.unsqueeze(1), fc1.unflatten(1, (-1, embed)), fc2.unflatten(2, (-1, embed)).movedim(2, 1)],
        dim=1,
    )  # [L, B, O, I]
    return blocks.permute(1, 3, 2, 0)


def split_blocks(joined: Tensor) -> dict[str, Tensor]:
    """The inverse of `join_blocks`."""
    blocks = joined.permute(3, 0, 2, 1)  # [L, B, O, I]
    ratio = (blocks.shape[1] - 4) // 2
    fc1, fc2 = blocks[:, 4 : 4 + ratio], blocks[:, 4 + ratio :]
    parts = (blocks[:, :3], blocks[:, 3], fc1.flatten(1, 2), fc2.movedim(1, 2).flatten(2, 3))
    return dict(zip(MATRICES, parts, strict=True))


def ring(joined: Tensor, cores: Ring) -> Tensor:
    """M2[b', i', o', l'] = sum S_B[p b b' q] S_O[q o o' s] S_L[s l l' u] S_I[u i i' p] M1[b i o l] (Mango, TR-MPO).

    The full map is never made: the small modes (layers, blocks) go first, on the small tensor.
    """
    tensor = torch.einsum("slmu,biol->subiom", cores.L, joined)
    tensor = torch.einsum("pbcq,subiom->spquciom", cores.B, tensor)
    tensor = torch.einsum("qoxs,spquciom->pucixm", cores.O, tensor)
    return torch.einsum("uiyp,pucixm->cyxm", cores.I, tensor)
