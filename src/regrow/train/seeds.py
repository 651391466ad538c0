"""Separate random streams for initialisation, order and noise, each a pure function of (seed, stream, step).

No generator state is ever saved: step 700 of a resumed run draws what step 700 of an unbroken one draws.
"""

from __future__ import annotations

import random
from typing import Literal

import numpy as np
import torch

Stream = Literal["init", "head", "order", "step", "operator", "depth"]
_STREAMS: dict[Stream, int] = {"init": 0, "head": 1, "order": 2, "step": 3, "operator": 4, "depth": 5}


def derive(seed: int, stream: Stream, index: int = 0) -> int:
    """A 63-bit seed for one use."""
    sequence = np.random.SeedSequence([seed, _STREAMS[stream], index])
    return int(sequence.generate_state(1, np.uint64)[0] >> np.uint64(1))


def seed_generators(seed: int) -> None:
    """Seed every global generator: a step draws from torch's, timm's Mixup from numpy's, its erasing from Python's.

    `torch.manual_seed` would do the same for torch's, and keep a stack trace for each kind of device that is not there.
    """
    torch.default_generator.manual_seed(seed)
    if torch.cuda.is_initialized():
        torch.cuda.manual_seed(seed)
    np.random.seed(seed % 2**32)
    random.seed(seed)
