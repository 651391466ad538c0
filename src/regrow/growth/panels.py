"""The different matrices among an operator's maps, and what each is called.

Axes whose matrices are equal share a panel. Where an axis has many matrices, one for each layer say, all of them drawn
at random, the first stands for all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor

from regrow.models.axes import AXES

MOST = 2
"""How many different matrices of one axis are shown; of more, the first."""


@dataclass(frozen=True, kw_only=True)
class Panel:
    """A matrix and the names of all that it maps."""

    title: str
    matrix: Tensor


@dataclass(frozen=True, kw_only=True)
class _Slice:
    """One matrix out of a tensor [..., new, old] of an axis, or of one parameter's own."""

    axis: str
    parameter: str
    index: tuple[str, ...]
    matrix: Tensor


def panels(term: Mapping[str, Tensor]) -> list[Panel]:
    """A term's different matrices in their order, each with all its names; at most `MOST` of an axis, or its first."""
    slices = [piece for key, tensor in term.items() for piece in _slices(key, tensor)]
    groups: list[list[_Slice]] = []
    for piece in slices:
        same = next((group for group in groups if torch.equal(group[0].matrix, piece.matrix)), None)
        if same is None:
            groups.append([piece])
        else:
            same.append(piece)
    having = {axis: [group for group in groups if _of(group, axis)] for axis in dict.fromkeys(s.axis for s in slices)}
    found = []
    for group in groups:
        axes = {piece.axis: having[piece.axis] for piece in group}
        if any(all_of[0] is group or len(all_of) <= MOST for all_of in axes.values()):
            title = ", ".join(_name(_of(group, axis), _of(slices, axis)) for axis in axes)
            draws = max(map(len, axes.values()))
            found.append(Panel(title=title + f"\n1 of {draws} draws" * (draws > MOST), matrix=group[0].matrix))
    return found


def _of(slices: list[_Slice], axis: str) -> list[_Slice]:
    return [piece for piece in slices if piece.axis == axis]


def _slices(key: str, tensor: Tensor) -> Iterator[_Slice]:
    """The matrices [new, old] of a tensor [..., new, old]: by layer, then by q, k, v; in depth by q, k, v alone."""
    axis, _, parameter = key.partition("@")
    for index in product(*map(range, tensor.shape[:-2])):
        named = tuple(
            "qkv"[number] if place or axis == "depth" else f"layer {number + 1}" for place, number in enumerate(index)
        )
        yield _Slice(axis=axis, parameter=parameter, index=named, matrix=tensor[index])


def _name(some: list[_Slice], every: list[_Slice]) -> str:
    """An axis, and in brackets which of its matrices are meant where not all are."""
    axis, own = some[0].axis, list(dict.fromkeys(piece.parameter for piece in some if piece.parameter))
    details: list[str] = []
    if set(own) != {name for name, axes in AXES.items() if axis in axes}:
        details += dict.fromkeys(_layer(name, own) for name in own)
    for place in range(len(some[0].index)):
        chosen = dict.fromkeys(piece.index[place] for piece in some)
        if len(chosen) < len({piece.index[place] for piece in every}):
            details += chosen
    return f"{axis} ({', '.join(details)})" if details else axis


def _layer(parameter: str, others: list[str]) -> str:
    """`fc1` of `blocks.mlp.fc1.weight`; `fc1.weight` where its bias is not among the others."""
    stem, kind = parameter.rsplit(".", 1)
    layer = stem.rsplit(".", 1)[-1]
    return layer if {f"{stem}.weight", f"{stem}.bias"} <= set(others) else f"{layer}.{kind}"
