"""The bytes of packed sets, on disk and in a run's memory, before anything is packed."""

from __future__ import annotations

from pathlib import Path

from regrow.config import DataRef
from regrow.data.registry import find_set

COLOURS = 3
"""Channels of an image that is not packed yet; a grey set has one."""


def image_bytes(data: DataRef) -> int:
    """Of one packed image, at most."""
    return data.img_size**2 * COLOURS


def packed_bytes(data: DataRef, folder: Path | None) -> int:
    """Of the packed set; at most, where it is not in `folder`."""
    if folder and (folder / data.folder / "manifest.json").exists():
        return sum(path.stat().st_size for path in (folder / data.folder).iterdir())
    known = find_set(data.name)
    return (known.train + known.test) * image_bytes(data)
