"""A group of processes for a test: forked, so that nothing is imported again, and joined by gloo over a file."""

from __future__ import annotations

import multiprocessing
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist


def together(work: Callable[[], Any], processes: int = 2) -> list[Any]:
    """What each process's call returns, or its exit code where it left by SystemExit."""
    with tempfile.TemporaryDirectory() as folder:
        context = multiprocessing.get_context("fork")
        members = [
            context.Process(target=_member, args=(work, rank, processes, Path(folder))) for rank in range(processes)
        ]
        for member in members:
            member.start()
        for member in members:
            member.join(120)
            member.kill()
        results = [Path(folder) / f"{rank}.pt" for rank in range(processes)]
        return [
            torch.load(result, weights_only=True) if result.exists() else member.exitcode
            for member, result in zip(members, results, strict=True)
        ]


def _member(work: Callable[[], Any], rank: int, processes: int, folder: Path) -> None:
    store = dist.FileStore(str(folder / "store"), processes)
    dist.init_process_group("gloo", store=store, rank=rank, world_size=processes)
    dist.barrier()  # nobody ends before all are connected
    result = work()
    dist.destroy_process_group()
    torch.save(result, folder / f"{rank}.pt")
