"""FLOPs that torch counts, where no closed form is at hand: maps and teachers."""

from __future__ import annotations

from collections.abc import Callable

from torch.utils.flop_counter import FlopCounterMode


def counted_flops(work: Callable[[], object]) -> int:
    """Matmul and convolution FLOPs of one call, 2 per multiply-add."""
    with FlopCounterMode(display=False) as counter:
        work()
    return int(counter.get_total_flops())
