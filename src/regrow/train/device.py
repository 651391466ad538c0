"""What a run computes on."""

from __future__ import annotations

import torch

from regrow.errors import UserError


def torch_device(name: str, threads: int = 1) -> torch.device:
    """The device of `--device cpu|cuda|auto`, with deterministic algorithms and the given number of threads.

    Raises:
        UserError: no GPU is visible.
    """
    auto = "cuda" if torch.cuda.is_available() else "cpu"
    device = torch.device(auto if name == "auto" else name)
    if device.type == "cuda" and not torch.cuda.is_available():
        raise UserError("--device cuda: no GPU is visible to torch here; use --device cpu")
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True)
    return device
