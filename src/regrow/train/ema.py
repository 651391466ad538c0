"""The exponential moving average of a run's weights, by the rule of timm's ModelEmaV3.

timm's averages a module's state; what is trained here is a dict of tensors, which may be an operator's cores.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from regrow.models.vit import Tensors


class Ema:
    """`tensors` <- decay * tensors + (1 - decay) * the run's, after every step; after the first they are the run's.

    The average covers trained tensors and running statistics; what is no float (a batch norm's count) is copied.
    """

    def __init__(self, followed: Mapping[str, Tensor], decay: float) -> None:
        """`followed` are the run's own tensors, which change in place."""
        self.followed, self.decay = dict(followed), decay
        self.tensors: Tensors = {name: tensor.detach().clone() for name, tensor in followed.items()}

    @torch.no_grad()
    def update(self, step: int) -> None:
        """`step` steps are done."""
        weight = 1 - self.decay if step > 1 else 1.0
        floats = [name for name, tensor in self.tensors.items() if tensor.is_floating_point()]
        averages, values = ([held[name] for name in floats] for held in (self.tensors, self.followed))
        torch._foreach_lerp_(averages, values, weight)
        for name in self.tensors.keys() - floats:
            self.tensors[name].copy_(self.followed[name])
