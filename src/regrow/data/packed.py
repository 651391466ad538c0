"""Reading a packed set: verified against its manifest, mapped from disk, split by name."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from regrow.data.holdout import first_per_class
from regrow.data.image_set import Labels, Pixels
from regrow.data.manifest import ARRAYS, SPLITS, Manifest, Split, read_manifest
from regrow.errors import UserError
from regrow.records import sha256

READERS = 8
"""Threads that read a batch; a disk serves several at once."""


@dataclass(frozen=True)
class Images:
    """Some images and their labels."""

    images: Pixels  # [N, H, W, C]
    labels: Labels  # [N]

    def __len__(self) -> int:
        """The number of images."""
        return len(self.labels)


@dataclass(frozen=True)
class PackedSet:
    """A packed set. Its images stay on disk until they are asked for."""

    manifest: Manifest
    images: np.memmap[tuple[int, int, int, int], np.dtype[np.uint8]]  # [N, H, W, C], all splits
    labels: Labels  # [N]
    codes: npt.NDArray[np.uint8]  # [N], positions in SPLITS

    def rows(self, name: Split) -> npt.NDArray[np.int64]:
        """The positions of the images of "train", "minival" or "test", ascending."""
        if name not in SPLITS:
            raise UserError(f"split: expected one of {', '.join(SPLITS)}, got {name!r}")
        return np.flatnonzero(self.codes == SPLITS.index(name))

    def few_shot_rows(self, name: Split, per_class: int, seed: int) -> npt.NDArray[np.int64]:
        """Those of `per_class` images of every class; at one seed, fewer a class are among more a class."""
        rows = self.rows(name)
        return rows[first_per_class(self.labels[rows], per_class, self.manifest.num_classes, seed)]

    def split(self, name: Split) -> Images:
        """A copy of a split's images, in packed order."""
        return self._copy(self.rows(name))

    def few_shot(self, name: Split, per_class: int, seed: int) -> Images:
        """A copy of `per_class` images of every class of a split."""
        return self._copy(self.few_shot_rows(name, per_class, seed))

    def read(self, rows: npt.NDArray[np.int64]) -> Pixels:
        """A copy of the images at these positions [B], in this order, read by several threads.

        Where they are not in memory yet this is some ten times faster than through the mapping, which waits for
        every 4 kB of an image.
        """
        images = np.empty((len(rows), *self.images.shape[1:]), np.uint8)

        def read_one(place: int) -> int:
            start = self.images.offset + int(rows[place]) * images[place].nbytes
            return os.preadv(file.fileno(), [images[place].data], start)

        with Path(str(self.images.filename)).open("rb") as file, ThreadPoolExecutor(READERS) as pool:
            if sum(pool.map(read_one, range(len(rows)))) < images.nbytes:
                raise UserError(f"{file.name}: shorter than when it was packed; delete the folder and rerun")
        return images

    def _copy(self, rows: npt.NDArray[np.int64]) -> Images:
        return Images(np.asarray(self.images[rows]), self.labels[rows])


def load(folder: Path) -> PackedSet:
    """Read a folder that `pack` wrote.

    Raises:
        UserError: no manifest, a missing array, or bytes other than the manifest's.
    """
    manifest = read_manifest(folder)
    for file in ARRAYS:
        path = folder / file
        expected = manifest.sha256.get(file, "none recorded")
        got = sha256(path) if path.exists() else "no such file"
        if got != expected:
            raise UserError(f"{path}: expected sha256 {expected}, got {got}; delete the folder and rerun")
    images, labels, codes = (np.load(folder / file, mmap_mode="r", allow_pickle=False) for file in ARRAYS)
    return PackedSet(manifest, images, labels, codes)
