"""Writing `images.npy` in one pass over the images, however many there are."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from regrow.data.image_set import Chunked, Mask, Pixels
from regrow.records import write_parts

ROWS = 4096  # images of an array that are written at a time


@dataclass(frozen=True, kw_only=True)
class Written:
    """What was seen of the images on their way to disk."""

    sha256: str  # of the file
    mean: tuple[float, ...]  # per channel, of pixels / 255
    std: tuple[float, ...]


def write_images(path: Path, images: Pixels | Chunked, counted: Mask) -> Written:
    """Write them as numpy would, hold one chunk in memory; mean and deviation are over the `counted` [N] alone."""
    hasher = hashlib.sha256()
    values = np.zeros((images.shape[3], 256), np.int64)

    def content() -> Iterator[bytes]:
        header = io.BytesIO()
        np.lib.format.write_array_header_1_0(
            header, {"descr": "|u1", "fortran_order": False, "shape": tuple(images.shape)}
        )
        hasher.update(header.getvalue())
        yield header.getvalue()
        done = 0
        for chunk in _chunks(images):
            assert chunk.dtype == np.uint8
            assert chunk.shape[1:] == images.shape[1:]
            part = chunk[counted[done : done + len(chunk)]]
            for channel, histogram in enumerate(values):
                histogram += np.bincount(part[..., channel].ravel(), minlength=256)
            done += len(chunk)
            raw = chunk.tobytes()
            hasher.update(raw)
            yield raw
        assert done == len(counted)

    write_parts(path, content())
    mean, std = zip(*(moments(histogram) for histogram in values), strict=True)
    return Written(sha256=hasher.hexdigest(), mean=mean, std=std)


def moments(histogram: npt.NDArray[np.int64]) -> tuple[float, float]:
    """Mean and standard deviation of values / 255, from exact integer sums over how often each of 0 .. 255 occurs."""
    total, first, second = (int((histogram * np.arange(256) ** power).sum()) for power in (0, 1, 2))
    return first / total / 255, (total * second - first**2) ** 0.5 / total / 255


def _chunks(images: Pixels | Chunked) -> Iterator[Pixels]:
    if isinstance(images, Chunked):
        return images.chunks()
    return (images[first : first + ROWS] for first in range(0, len(images), ROWS))
