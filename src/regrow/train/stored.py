"""Images of a split that is too large for the device: they stay on disk, and a batch is read when it is asked for."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from regrow.data import PackedSet


@dataclass(frozen=True, kw_only=True)
class StoredImages:
    """Indexed like the tensor uint8 [N, C, H, W] that it stands for; `rows` [N] are the split's in the packed set."""

    packed: PackedSet
    rows: npt.NDArray[np.int64]
    in_chans: int
    device: torch.device
    _coming: dict[int, Future[Tensor]] = field(default_factory=dict, repr=False)
    """By the id of its index: what is being read."""

    def __getitem__(self, index: Tensor | slice) -> Tensor:
        """The bytes of the tensor, in its memory layout, on the device: [B, C, H, W]."""
        coming = self._coming.pop(id(index), None)
        images = coming.result() if coming else self._read(index)
        images = images.to(self.device, non_blocking=True).permute(0, 3, 1, 2)
        return images.expand(-1, self.in_chans, -1, -1).contiguous()

    def read_ahead(self, indices: Iterator[Tensor]) -> Iterator[Tensor]:
        """The same indices, each given out when the reading of the next one has begun."""
        before = None
        with ThreadPoolExecutor(1) as reader:
            for index in indices:
                self._coming[id(index)] = reader.submit(self._read, index)
                if before is not None:
                    yield before
                before = index
            if before is not None:
                yield before

    def _read(self, index: Tensor | slice) -> Tensor:
        """From disk, [B, H, W, C]; in memory that a GPU can fetch by itself, where there is one."""
        rows = self.rows[index.numpy() if isinstance(index, Tensor) else index]
        images = torch.from_numpy(self.packed.read(rows))
        return images.pin_memory() if self.device.type == "cuda" else images
