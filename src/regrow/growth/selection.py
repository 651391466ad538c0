"""Weight selection (Xu et al., ICLR 2024): a small model's initial weights out of a large trained one's.

    W2 = S_out W1 S_in^T     S picks evenly spaced indices of an axis; in depth, the first layers

Rows of q, k and v are picked from each alike, so an embed_dim that shrinks with its number of heads mixes them.
"""

from __future__ import annotations

import torch
from torch import Tensor

from regrow.config import ModelConfig
from regrow.errors import UserError
from regrow.growth.operator import Operator, select
from regrow.models.axes import axis_sizes
from regrow.models.vit import Tensors


def evenly(large: int, small: int) -> Tensor:
    """[small] indices into `large`: every (large / small)-th from 0, or where that is no whole number, rounded."""
    if large % small == 0:
        return torch.arange(small) * (large // small)
    return torch.linspace(0, large - 1, small).round().long()


class WeightSelection(Operator):
    """No option: uniform selection in width, the first layers in depth."""

    def cores(self, source: ModelConfig, target: ModelConfig, generator: torch.Generator) -> Tensors:
        large, small = axis_sizes(source), axis_sizes(target)
        if wrong := sorted(axis for axis in large if large[axis] < small[axis]):
            raise UserError(
                f"weight selection goes from large to small: {', '.join(wrong)} would grow; "
                f"got {source} and {target}; exchange source and target, or take a growth operator"
            )
        index = {
            axis: torch.arange(size) if axis == "depth" else evenly(large[axis], size) for axis, size in small.items()
        }
        return {axis: select(chosen, large[axis]) for axis, chosen in index.items()}
