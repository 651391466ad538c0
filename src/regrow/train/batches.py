"""Batches from images that lie on the device or on disk as uint8: order, normalisation and augmentation of batches.

Shapes: B batch, C channels, H height, W width. Grey sets are repeated to the model's channels.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from regrow.config import Augment
from regrow.data import Manifest, PackedSet, Split
from regrow.train import RESIDENT
from regrow.train.augment import augmented, erased
from regrow.train.distributed import Rows
from regrow.train.seeds import derive
from regrow.train.stored import StoredImages


@dataclass(frozen=True, kw_only=True)
class ImageTensors:
    """A split on the device: images uint8 [N, C, H, W], labels int64 [N], mean and std in [0, 1] per channel.

    The images of a large split are on disk, and only the indexed ones come to the device.
    """

    images: Tensor | StoredImages
    labels: Tensor
    mean: Tensor
    std: Tensor
    num_classes: int

    def __len__(self) -> int:
        return len(self.labels)

    def pixels(self, index: Tensor | slice, augment: Augment | None = None, rows: Rows | None = None) -> Tensor:
        """Normalised float images [B, C, H, W]; augmented from the global generators where `augment` is given.

        An index is on the CPU. `rows` are the images' in a larger batch that is drawn for.
        """
        images = self.images[self._there(index) if isinstance(self.images, Tensor) else index].float().div_(255)
        if augment is not None:
            images = augmented(images, augment, self.mean, rows)
        images = images.sub_(self.mean).div_(self.std)
        return erased(images, augment.erase, rows) if augment is not None else images

    def classes(self, index: Tensor) -> Tensor:
        """The labels [B] of an index on the CPU."""
        return self.labels[self._there(index)]

    def read_ahead(self, indices: Iterator[Tensor]) -> Iterator[Tensor]:
        """The same indices; what is on disk is read while the images before it are trained on."""
        return indices if isinstance(self.images, Tensor) else self.images.read_ahead(indices)

    def _there(self, index: Tensor | slice) -> Tensor | slice:
        return index.to(self.labels.device, non_blocking=True) if isinstance(index, Tensor) else index


def tensors(
    packed: PackedSet,
    split: Split,
    device: torch.device,
    *,
    in_chans: int,
    per_class: int | None = None,
    seed: int = 0,
    thin: int = 1,
) -> ImageTensors:
    """Put a split, its few-shot part or one image in `thin` on the device; pixels only up to `RESIDENT` bytes."""
    rows = packed.few_shot_rows(split, per_class, seed) if per_class else packed.rows(split)[::thin]
    images: Tensor | StoredImages
    if len(rows) * packed.images[0].size > RESIDENT:
        images = StoredImages(packed=packed, rows=rows, in_chans=in_chans, device=device)
    else:
        resident = torch.from_numpy(np.ascontiguousarray(packed.images[rows].transpose(0, 3, 1, 2)))
        images = resident.expand(-1, in_chans, -1, -1).contiguous().to(device)
    mean, std = _statistics(packed.manifest)
    return ImageTensors(
        images=images,
        labels=torch.from_numpy(packed.labels[rows]).to(device),
        mean=mean.to(device),
        std=std.to(device),
        num_classes=packed.manifest.num_classes,
    )


def _statistics(manifest: Manifest) -> tuple[Tensor, Tensor]:
    mean, std = (torch.tensor(values, dtype=torch.float32).view(-1, 1, 1) for values in (manifest.mean, manifest.std))
    return mean, std


def order(size: int, batch_size: int, steps: int, seed: int, start: int = 0, *, repeats: int = 1) -> Iterator[Tensor]:
    """The image indices of steps `start` .. `steps` - 1: a fresh permutation an epoch, batches run across its end.

    With `repeats` every image comes so many times in a row, and an epoch, still of `size` indices, has the fewer
    different ones: repeated augmentation (Hoffer et al., 2020) as DeiT's RASampler does it.
    """
    epoch, permutation = -1, torch.empty(0, dtype=torch.long)
    for step in range(start, steps):
        position, stop = step * batch_size, (step + 1) * batch_size
        parts = []
        while position < stop:
            number, offset = divmod(position, size)
            if number != epoch:
                epoch = number
                generator = torch.Generator().manual_seed(derive(seed, "order", number))
                permutation = torch.randperm(size, generator=generator).repeat_interleave(repeats)[:size]
            parts.append(permutation[offset : offset + stop - position])
            position += len(parts[-1])
        yield torch.cat(parts)
