"""The one idea: every method is a linear map from a small set of tensors (the basis) to the weights of a ViT.

    weights = expand(basis, maps)

    large[l] = sum over terms t, layers k of  depth_t[l, k] * out_t . small[k] . in_t^T

with one matrix per named axis (see `regrow.models.axes`); an axis without a matrix is mapped by the identity.
A first term maps every parameter; a further one adds to those parameters only that it has a matrix for.
Plain training is the identity on every axis, a learned operator trains the matrices, a learngene trains the basis.
Mango (NeurIPS 2023) maps the block matrices of all layers at once by a ring of four cores instead.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import permutations

import torch
from torch import Tensor

from regrow.models.axes import AXES, MATRICES

Term = Mapping[str, Tensor]
"""Axis name -> matrix [new, old], or [..., new, old] with the parameter's leading axes (one matrix per layer).

The key `axis@parameter` is that one parameter's own matrix, and goes before `axis`.
"""


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
    """What `expand` applies: a sum of per-axis terms, and for the block matrices a ring where there is one.

    Within a term the widths go first and the depth last; `then` is applied to the result, where another order counts.
    """

    terms: tuple[Term, ...] = field(default=({},))
    ring: Ring | None = None
    then: Maps | None = None


def expand(basis: Mapping[str, Tensor], maps: Maps) -> dict[str, Tensor]:
    """Map a basis of stacked ViT parameters to the weights of another ViT. Differentiable in both arguments."""
    first, *others = maps.terms
    weights: dict[str, Tensor] = {}
    for name, tensor in basis.items():
        if maps.ring is not None and name in MATRICES:
            continue
        weights[name] = _mapped(name, tensor, first)
        for term in others:
            if any(matrix is not None for matrix in _matrices(name, term)):
                weights[name] = weights[name] + _mapped(name, tensor, term)
    if maps.ring is not None:
        weights.update(split_blocks(ring(join_blocks(basis), maps.ring)))
    return weights if maps.then is None else expand(weights, maps.then)


def _matrices(name: str, term: Term) -> list[Tensor | None]:
    """The matrix of each axis of a parameter under one term; None is the identity."""
    return [term.get(f"{axis}@{name}", term.get(axis)) for axis in AXES[name]]


def _mapped(name: str, tensor: Tensor, term: Term) -> Tensor:
    """One parameter under one term: a matrix product per axis, the widths first, then the depth."""
    for position, matrix in reversed(list(enumerate(_matrices(name, term)))):
        if matrix is not None:
            tensor = along(tensor, position, matrix)
    return tensor


def along(tensor: Tensor, position: int, matrix: Tensor) -> Tensor:
    """Mode product: new[..., j, ...] = sum_i matrix[j, i] * tensor[..., i, ...] along axis `position`.

    A matrix with leading axes [..., new, old] differs along the first axes of `tensor`: one a layer, say.
    """
    if (picked := _picked(matrix)) is not None:
        index, value = picked
        shape = [-1 if axis == position else 1 for axis in range(tensor.ndim)]
        return tensor.index_select(position, index) * value.to(tensor.dtype).reshape(shape)
    last = tensor.movedim(position, -1)
    leading = matrix.ndim - 2
    if leading == last.ndim - 1:
        return (matrix @ last.unsqueeze(-1)).squeeze(-1).movedim(-1, position)
    spread = matrix.mT.reshape(*matrix.shape[:-2], *[1] * (last.ndim - 2 - leading), *matrix.mT.shape[-2:])
    return (last @ spread).movedim(-1, position)


def _picked(matrix: Tensor) -> tuple[Tensor, Tensor] | None:
    """A constant matrix with at most one entry a row is an index [new] and a value [new]: no FLOPs for a copy."""
    if matrix.requires_grad or matrix.ndim > 2 or not bool((matrix.count_nonzero(1) <= 1).all()):
        return None
    return matrix.abs().argmax(1), matrix.sum(1)


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


MODES = {"B": "pbcq", "O": "qoxs", "L": "slmu", "I": "uiyp"}
"""The cores' axes in `ring`: p, q, s, u are the ranks around it, b, o, l, i the old modes, c, x, m, y the new."""


def ring(joined: Tensor, cores: Ring) -> Tensor:
    """M2[c, y, x, m] = sum S_B[p b c q] S_O[q o x s] S_L[s l m u] S_I[u i y p] M1[b, i, o, l] (Mango, TR-MPO).

    One core at a time, in the order of the fewest FLOPs; the full map is never made.
    """
    labels, tensor = "biol", joined
    for core in _cheapest_order(joined, cores):
        kept = _contracted(labels, MODES[core])
        tensor = torch.einsum(f"{labels},{MODES[core]}->{kept}", tensor, getattr(cores, core))
        labels = kept
    return torch.einsum(f"{labels}->cyxm", tensor)


def _contracted(labels: str, core: str) -> str:
    """The axes after a product with a core: every axis that both have is summed over."""
    return "".join(label for label in labels + core if (label in labels) != (label in core))


def _cheapest_order(joined: Tensor, cores: Ring) -> tuple[str, ...]:
    """The order of the four products with the fewest multiply-adds, counted for all 24."""
    size = dict(zip("biol", joined.shape, strict=True))
    for core, labels in MODES.items():
        size |= zip(labels, getattr(cores, core).shape, strict=True)

    def cost(order: tuple[str, ...]) -> int:
        labels, total = "biol", 0
        for core in order:
            total += math.prod(size[label] for label in set(labels + MODES[core]))
            labels = _contracted(labels, MODES[core])
        return total

    return min(permutations(MODES), key=cost)
