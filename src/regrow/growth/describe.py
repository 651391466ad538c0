"""What an operator does to each axis, in words."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain

import torch
from torch import Tensor

from regrow.config import ModelConfig
from regrow.expand import Term
from regrow.growth.operator import Operator
from regrow.models.axes import axis_sizes


@dataclass(frozen=True)
class AxisMap:
    """One axis of `regrow.models.axes`: its length before and after, and how it is mapped."""

    axis: str
    old: int
    new: int
    how: str


def axis_maps(operator: Operator, source: ModelConfig, target: ModelConfig, seed: int) -> list[AxisMap]:
    """Every axis under an operator: `identity`, `copied` (each index from one old one), `dense` or `learned`."""
    terms = operator.maps(operator.cores(source, target, torch.Generator().manual_seed(seed))).terms
    old, new = axis_sizes(source), axis_sizes(target)
    found = []
    for axis in new:
        how = "learned"
        if not operator.learned:
            how = " + ".join(_how(term.get(axis)) for term in terms if axis in term or term is terms[0])
        if axis == "depth" and hasattr(operator, "depth"):
            how += f", {'starts as ' if operator.learned else ''}{operator.depth}"
        if not operator.learned and (own := sorted(set(chain.from_iterable(_own(axis, term) for term in terms)))):
            how += f"; apart: {', '.join(own)}"
        found.append(AxisMap(axis, old[axis], new[axis], how))
    return found


def _own(axis: str, term: Term) -> list[str]:
    """The parameters for which the axis has a matrix of their own, another than the axis' general one."""
    own = {key.removeprefix(f"{axis}@"): matrix for key, matrix in term.items() if key.startswith(f"{axis}@")}
    general = term.get(axis)
    return [
        name.removeprefix("blocks.") for name, matrix in own.items() if general is None or not matrix.equal(general)
    ]


def _how(matrix: Tensor | None) -> str:
    if matrix is None or torch.equal(matrix, torch.eye(*matrix.shape[-2:]).to(matrix)):
        return "identity"
    entries = matrix.count_nonzero(-1)
    if bool((entries > 1).any()):
        return "dense"
    scaled = ", scaled" if bool((matrix[matrix != 0] != 1).any()) else ""
    return f"copied{scaled}{', zero elsewhere' if bool((entries == 0).any()) else ''}"
