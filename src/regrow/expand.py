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
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, field
from itertools import permutations

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint
from torch.utils.weak import WeakTensorKeyDictionary

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

    Within a term the widths go first, in the cheapest order, and the depth last; `then` is applied to the result,
    where another order counts.
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
    """One parameter under one term: a matrix product per axis, the widths first, then the depth.

    Of two widths the one with the smaller 1/old - 1/new goes first: the order of the fewest multiply-adds.
    """
    found = [(position, matrix) for position, matrix in enumerate(_matrices(name, term)) if matrix is not None]

    def turn(entry: tuple[int, Tensor]) -> tuple[bool, float, int]:
        position, matrix = entry
        return AXES[name][position] == "depth", 1 / matrix.shape[-1] - 1 / matrix.shape[-2], -position

    for position, matrix in sorted(found, key=turn):
        tensor = along(tensor, position, matrix)
    return tensor


def along(tensor: Tensor, position: int, matrix: Tensor) -> Tensor:
    """`mode_product`, without arithmetic where a constant matrix only copies and scales."""
    if (picked := _picked(matrix)) is not None:
        index, value = picked
        shape = [-1 if axis == position else 1 for axis in range(tensor.ndim)]
        return tensor.index_select(position, index) * value.to(tensor.dtype).reshape(shape)
    return mode_product(tensor, position, matrix)


def mode_product(tensor: Tensor, position: int, matrix: Tensor) -> Tensor:
    """new[..., j, ...] = sum_i matrix[j, i] * tensor[..., i, ...] along axis `position`.

    A matrix with leading axes [..., new, old] differs along the first other axes of `tensor`: one a layer, say.
    One batched product on the tensor as it lies in memory: `matmul` would transpose it, once each way.
    """
    *leading, new, old = matrix.shape
    first = len(leading)
    if position < first:
        return mode_product(tensor.movedim(position, first), first, matrix).movedim(first, position)
    between, after = tensor.shape[first:position], tensor.shape[position + 1 :]
    matrices, rows, columns = math.prod(leading), math.prod(between), math.prod(after)
    matrix = matrix.reshape(matrices, new, old)
    if columns == 1:
        grown = torch.bmm(tensor.reshape(matrices, rows, old), matrix.mT)
    else:
        each = matrix.unsqueeze(1).expand(-1, rows, -1, -1).flatten(0, 1)
        grown = torch.bmm(each, tensor.reshape(matrices * rows, old, columns))
    return grown.reshape(*leading, *between, new, *after)


Picked = tuple[Tensor, Tensor]
_KNOWN: MutableMapping[Tensor, Picked | None] = WeakTensorKeyDictionary()
"""What is known of constant matrices: to look into one is to wait for the GPU, and a learngene has some every step."""


def _picked(matrix: Tensor) -> Picked | None:
    """A constant matrix with at most one entry a row is an index [new] and a value [new]: no FLOPs for a copy."""
    if matrix.requires_grad or matrix.ndim > 2:
        return None
    if matrix not in _KNOWN:
        copies = bool((matrix.count_nonzero(1) <= 1).all())
        _KNOWN[matrix] = (matrix.abs().argmax(1), matrix.sum(1)) if copies else None
    return _KNOWN[matrix]


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
    qkv, proj, fc1, fc2 = blocks.split([3, 1, ratio, ratio], dim=1)
    parts = (qkv, proj.squeeze(1), fc1.flatten(1, 2), fc2.movedim(1, 2).flatten(2, 3))
    return dict(zip(MATRICES, parts, strict=True))


MODES = {"B": "pbcq", "O": "qoxs", "L": "slmu", "I": "uiyp"}
"""The cores' axes in `ring`: p, q, s, u are the ranks around it, b, o, l, i the old modes, c, x, m, y the new."""


def ring(joined: Tensor, cores: Ring) -> Tensor:
    """M2[c, y, x, m] = sum S_B[p b c q] S_O[q o x s] S_L[s l m u] S_I[u i y p] M1[b, i, o, l] (Mango, TR-MPO).

    One core at a time, S_I first and the others in the order of the fewest FLOPs; the full map is never made. Between
    two cores the tensor is R^2 times as large as at rank 1: above it, M2 is made in R^2 slices along y, and a slice's
    products are made again in the backward pass (all but the last one) instead of being kept.
    """
    order = _cheapest_order(joined, cores)

    def columns(part: Tensor) -> Tensor:
        labels, tensor = "lboi", joined.permute(3, 0, 2, 1)  # as the weights lie in memory
        for core in order:
            labels, tensor = _product(labels, tensor, MODES[core], part if core == "I" else getattr(cores, core))
        return torch.einsum(f"{labels}->cyxm", tensor)

    slices = max(cores.B.shape[0], cores.O.shape[0], cores.L.shape[0], cores.I.shape[0]) ** 2
    if slices == 1:
        return columns(cores.I)
    parts = cores.I.chunk(slices, dim=2)
    return torch.cat([checkpoint(columns, part, use_reentrant=False, preserve_rng_state=False) for part in parts], 1)


def _product(labels: str, tensor: Tensor, core_labels: str, core: Tensor) -> tuple[str, Tensor]:
    """Sum over every axis that tensor and core share, as one mode product; the new axes come in the old ones' place.

    At rank 1 that place is where the old axis is, and nothing moves. Else ranks must be moved next to it; then all go
    last, for one plain product whose gradient is as small as the core (a batched product's is one core a batch).
    """
    shared = "".join(label for label in core_labels if label in labels)
    opened = "".join(label for label in core_labels if label not in labels)
    rest = "".join(label for label in labels if label not in shared)
    if core.shape[0] == core.shape[-1] == 1:
        mode = next(label for label in shared if label in "biol")
        side_by_side = "".join(label for label in labels if label in rest + mode).replace(mode, shared)
    else:
        side_by_side = rest + shared
    position = side_by_side.index(shared)
    matrix = torch.einsum(f"{core_labels}->{opened}{shared}", core)
    sizes = matrix.shape[: len(opened)]
    matrix = matrix.flatten(len(opened)).flatten(0, -2)
    tensor = torch.einsum(f"{labels}->{side_by_side}", tensor).flatten(position, position + len(shared) - 1)
    grown = mode_product(tensor, position, matrix).unflatten(position, sizes)
    return side_by_side.replace(shared, opened), grown


def _cheapest_order(joined: Tensor, cores: Ring) -> tuple[str, ...]:
    """The order with the fewest multiply-adds, S_I first: M1 needs no gradient, so the first width core costs less."""
    size = dict(zip("biol", joined.shape, strict=True))
    for core, labels in MODES.items():
        size |= zip(labels, getattr(cores, core).shape, strict=True)

    def cost(order: tuple[str, ...]) -> int:
        labels, total = set("biol"), 0
        for core in order:
            total += math.prod(size[label] for label in labels | set(MODES[core]))
            labels ^= set(MODES[core])
        return total

    return min((("I", *rest) for rest in permutations("BLO")), key=cost)
