"""What the benchmarks share: the two DeiTs, seconds, bytes, and the machine's own matmul rate."""

from __future__ import annotations

import os
import platform
import statistics
import threading
import time
from collections.abc import Callable, Mapping

import psutil
import torch

from regrow.config import ModelConfig

DEIT_S = ModelConfig(embed_dim=384, depth=12, num_heads=6, patch_size=16, img_size=224, num_classes=1000)
DEIT_B = ModelConfig(embed_dim=768, depth=12, num_heads=12, patch_size=16, img_size=224, num_classes=1000)


def wait(device: str) -> None:
    """Until the device has done what it was given."""
    if device == "cuda":
        torch.cuda.synchronize()


def seconds(run: Callable[[], object], device: str) -> float:
    """Wall seconds of one call."""
    wait(device)
    start = time.perf_counter()
    run()
    wait(device)
    return time.perf_counter() - start


def interleaved(runs: Mapping[str, Callable[[], object]], repeats: int, device: str) -> dict[str, list[float]]:
    """Seconds of every run, in turns after one warm-up each, so that a busy minute hits them all."""
    for run in runs.values():
        run()
    turns = [{name: seconds(run, device) for name, run in runs.items()} for _ in range(repeats)]
    return {name: [turn[name] for turn in turns] for name in runs}


def spread(values: list[float]) -> str:
    """Median and range."""
    return f"{statistics.median(values):.3f} ({min(values):.3f}-{max(values):.3f})"


def ratios(values: list[float], others: list[float]) -> list[float]:
    """Turn by turn."""
    return [value / other for value, other in zip(values, others, strict=True)]


def matmul(device: str, dtype: torch.dtype, size: int) -> tuple[Callable[[], torch.Tensor], int]:
    """A square product of `size`, and its FLOPs."""
    left, right = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
    return lambda: left @ right, 2 * size**3


def peak_bytes(run: Callable[[], object], device: str) -> int:
    """The most memory that a call holds above what was held before: torch's count on a GPU, sampled RSS on a CPU."""
    if device == "cuda":
        wait(device)
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        run()
        wait(device)
        return int(torch.cuda.max_memory_allocated()) - before
    process, done = psutil.Process(), threading.Event()
    samples: list[int] = [process.memory_info().rss]

    def sample() -> None:
        while not done.wait(0.002):
            samples.append(process.memory_info().rss)

    watcher = threading.Thread(target=sample)
    watcher.start()
    try:
        run()
    finally:
        done.set()
        watcher.join()
    return max(samples) - samples[0]


def machine(device: str) -> str:
    """One line for the head of a report."""
    name = torch.cuda.get_device_name() if device == "cuda" else f"{platform.machine()} CPU"
    return f"{name}, {torch.get_num_threads()} threads of {os.cpu_count()}, torch {torch.__version__}"
