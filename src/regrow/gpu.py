"""A GPU for a run, on a machine where nobody hands them out: Snakemake only counts them.

A run locks a file that stands for a place on one of the visible GPUs and shows CUDA that GPU alone. The kernel drops
the lock when the process ends, however it ends, so a killed run leaves nothing behind.
"""

from __future__ import annotations

import fcntl
import os
import tempfile
import time
from collections.abc import Sequence
from itertools import product
from pathlib import Path

from regrow.errors import UserError

POLL = 0.5
"""Seconds between two looks for a free GPU."""


def hold_gpu(runs: int = 1) -> str:
    """Wait for a GPU that fewer than `runs` other runs of this user hold, and hold it until this process ends.

    Returns its id. All runs must give the same number.

    Must come before CUDA's first use: it sets CUDA_VISIBLE_DEVICES.

    Raises:
        UserError: no GPU is visible.
    """
    gpus = visible_gpus()
    if not gpus:
        raise UserError("--device free-cuda: no GPU is visible here; use --device cpu")
    locks = Path(tempfile.gettempdir()) / f"regrow-gpus-{os.getuid()}"
    locks.mkdir(mode=0o700, exist_ok=True)
    while (gpu := _lock_one(gpus, runs, locks)) is None:
        time.sleep(POLL)
    os.environ["CUDA_VISIBLE_DEVICES"] = gpu
    return gpu


def visible_gpus() -> list[str]:
    """The ids in CUDA_VISIBLE_DEVICES, or every GPU of the machine where it is not set."""
    listed = os.environ.get("CUDA_VISIBLE_DEVICES")
    if listed is not None:
        return [gpu.strip() for gpu in listed.split(",") if gpu.strip()]
    import torch  # counts without starting CUDA

    return [str(index) for index in range(torch.cuda.device_count())]


def _lock_one(gpus: Sequence[str], runs: int, locks: Path) -> str | None:
    """Lock the first free place, on an empty GPU where there is one.

    Its file stays open, and so locked, for the rest of the process.
    """
    for place, gpu in product(range(runs), gpus):
        name = f"{gpu.replace('/', '-')}{f'.{place}' if place else ''}.lock"
        file = os.open(locks / name, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
        else:
            return gpu
    return None
