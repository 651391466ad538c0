"""Several processes that make one run: torch's default process group, or this process alone where there is none.

Every process holds all trained tensors and computes its part of every global batch. Alone, no function here does
anything.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import NamedTuple

import torch
import torch.distributed as dist
from torch import Tensor
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from regrow.errors import UserError


@contextmanager
def joined(device: torch.device) -> Iterator[None]:
    """In the group of the torchrun that started this process; one GPU a process. Only the first process speaks.

    Raises:
        UserError: more processes than GPUs on this machine.
    """
    if not dist.is_torchelastic_launched():
        yield
        return
    if device.type == "cuda":
        local, visible = int(os.environ["LOCAL_RANK"]), torch.cuda.device_count()
        if local >= visible:
            raise UserError(f"{local + 1} processes or more on this machine, but {visible} GPUs; give fewer processes")
        torch.cuda.set_device(local)
    dist.init_process_group("cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo")
    wait()  # nobody ends before all are connected: a mistake of the user's would look like a death
    try:
        with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere if rank() else sys.stdout):
            yield
    finally:
        dist.destroy_process_group()


def size() -> int:
    """The number of processes."""
    return dist.get_world_size() if dist.is_initialized() else 1


def rank() -> int:
    """This process's number; 0 is the first, which alone writes files."""
    return dist.get_rank() if dist.is_initialized() else 0


def part(batch: int) -> slice:
    """This process's part of a global batch. Parts are equal, so that a mean over the batch is the mean of their means.

    Raises:
        UserError: the batch has no equal parts.
    """
    share, rest = divmod(batch, size())
    if rest:
        raise UserError(f"batch_size: {batch} images have no {size()} equal parts; give a multiple, or other processes")
    return slice(rank() * share, (rank() + 1) * share)


class Rows(NamedTuple):
    """Images of a global batch of `batch` that are prepared in one place, at the positions `here`.

    What is random is drawn for the whole batch and kept for them. Those at `own`, among them, are trained on.
    """

    batch: int
    here: Tensor | slice = slice(None)
    own: slice = slice(None)

    def kept(self, drawn: Tensor) -> Tensor:
        """drawn [batch, ...] -> [images, ...]."""
        here = self.here if isinstance(self.here, slice) else self.here.to(drawn.device, non_blocking=True)
        return drawn[here]


def rows(batch: int, *, pairs: bool) -> Rows:
    """What this process prepares: its part, and where pairs (i, batch - 1 - i) are mixed, the others of its pairs.

    Raises:
        UserError: the batch has no equal parts.
    """
    own = part(batch)
    if not pairs or size() == 1:
        return Rows(batch, own)
    others = range(batch - own.stop, batch - own.start)
    positions = sorted({*range(own.start, own.stop), *others})
    first = positions.index(own.start)
    return Rows(batch, torch.tensor(positions), slice(first, first + own.stop - own.start))


def average(tensors: Iterable[Tensor]) -> None:
    """Put the mean over the processes into tensors of one type: one all-reduce of one flat buffer."""
    if size() > 1:
        held = list(tensors)
        flat = parameters_to_vector(held)
        dist.all_reduce(flat)
        vector_to_parameters(flat.div_(size()), held)


def add(tensor: Tensor) -> None:
    """Put the sum over the processes into the tensor."""
    if size() > 1:
        dist.all_reduce(tensor)


def agreed(number: int) -> int:
    """The largest of the processes' numbers."""
    if size() == 1:
        return number
    held = torch.tensor(number)
    dist.all_reduce(held, dist.ReduceOp.MAX)
    return int(held)


def wait() -> None:
    """Go on when every process is here."""
    agreed(0)


@contextmanager
def first_goes_first() -> Iterator[None]:
    """The others enter when the first process has left."""
    if rank():
        wait()
    yield
    if not rank():
        wait()
