"""What a run computes on."""

from __future__ import annotations

import torch

from regrow.errors import UserError


def torch_device(name: str, threads: int = 1, *, fast: bool = False) -> torch.device:
    """The device of `--device cpu|cuda|auto`, with the given number of threads and deterministic algorithms.

    `fast` gives up the same bits at every run: any algorithm, and TF32 for products and convolutions in float32.

    Raises:
        UserError: no GPU is visible.
    """
    auto = "cuda" if torch.cuda.is_available() else "cpu"
    device = torch.device(auto if name == "auto" else name)
    if device.type == "cuda" and not torch.cuda.is_available():
        raise UserError("--device cuda: no GPU is visible to torch here; use --device cpu")
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(not fast)
    # What torch would fill with NaN, to show who reads memory before it is written: one write more for every result.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.set_float32_matmul_precision("high" if fast else "highest")
    torch.backends.cudnn.allow_tf32 = fast  # convolutions have a switch of their own, which is on by default
    return device
