"""FLOPs that torch counts, where no closed form is at hand: maps and teachers."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from regrow.train import distributed


def counted_flops(work: Callable[[], object]) -> int:
    """Matmul and convolution FLOPs of one call, 2 per multiply-add."""
    with FlopCounterMode(display=False) as counter:
        work()
    return int(counter.get_total_flops())


def map_flops(weights: Callable[[dict[str, Tensor]], Mapping[str, Tensor]], trained: Mapping[str, Tensor]) -> int:
    """FLOPs of making the model's weights of the trained tensors once, and of the way back to their gradients.

    Every process of a run makes them, and all are counted.
    """
    leaves = {name: tensor.detach().clone().requires_grad_() for name, tensor in trained.items()}

    def there_and_back() -> None:
        torch.stack([tensor.sum() for tensor in weights(leaves).values()]).sum().backward()

    return distributed.size() * counted_flops(there_and_back)
