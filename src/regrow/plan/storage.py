"""The bytes of packed sets, on disk and in a run's memory, before anything is packed. Importing it imports no torch."""

from __future__ import annotations

from pathlib import Path

from regrow.config import DataRef
from regrow.data.registry import find_set
from regrow.plan.cost import images_of
from regrow.train import RESIDENT

COLOURS = 3
"""Channels of an image that is not packed yet; a grey set has one."""
OWN_MB = 8000
"""Of a process without its images: torch, the model, its optimizer, a batch, and a checkpoint on its way from a GPU to
the disk, three times; a guess with room to spare. Mango's fit at rank 4 for DeiT-B held 5.5 GB on a CPU."""
COPIES = 3
"""Of a split in memory while it is brought to the device: its rows, transposed, with the model's channels."""


def image_bytes(data: DataRef) -> int:
    """Of one packed image, at most."""
    return data.img_size**2 * COLOURS


def packed_bytes(data: DataRef, folder: Path | None) -> int:
    """Of the packed set; at most, where it is not in `folder`."""
    if folder and (folder / data.folder / "manifest.json").exists():
        return sum(path.stat().st_size for path in (folder / data.folder).iterdir())
    known = find_set(data.name)
    return (known.train + known.test) * image_bytes(data)


def memory_mb(data: DataRef, processes: int = 1) -> int:
    """What a run may need: each of its processes holds every split that is not read from disk."""
    splits = (images * image_bytes(data) for images in images_of(data, None).values())
    held = sum(size for size in splits if size <= RESIDENT)
    return processes * (OWN_MB + round(COPIES * held / 1e6))
