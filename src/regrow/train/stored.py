"""Images of a split that is too large for the device: they stay on disk, and a batch is read when it is asked for."""

from __future__ import annotations

from dataclasses import dataclass

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

    def __getitem__(self, index: Tensor | slice) -> Tensor:
        """The bytes of the tensor, in its memory layout, on the device: [B, C, H, W]."""
        rows = self.rows[index.cpu().numpy() if isinstance(index, Tensor) else index]
        images = torch.from_numpy(self.packed.read(rows)).to(self.device).permute(0, 3, 1, 2)
        return images.expand(-1, self.in_chans, -1, -1).contiguous()
