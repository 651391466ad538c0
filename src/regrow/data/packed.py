"""Reading a packed set: verified against its manifest, split by name."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from regrow.data.holdout import first_per_class
from regrow.data.image_set import Labels, Pixels
from regrow.data.manifest import ARRAYS, SPLITS, Manifest, Split, read_manifest
from regrow.errors import UserError
from regrow.records import sha256


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
    """A packed set in memory."""

    manifest: Manifest
    images: Pixels  # [N, H, W, C], all splits
    labels: Labels  # [N]
    codes: npt.NDArray[np.uint8]  # [N], positions in SPLITS

    def split(self, name: Split) -> Images:
        """The images of "train", "minival" or "test", in packed order."""
        if name not in SPLITS:
            raise UserError(f"split: expected one of {', '.join(SPLITS)}, got {name!r}")
        chosen = self.codes == SPLITS.index(name)
        return Images(self.images[chosen], self.labels[chosen])

    def few_shot(self, name: Split, per_class: int, seed: int) -> Images:
        """`per_class` images of every class of a split; at one seed, fewer a class are among more a class."""
        part = self.split(name)
        chosen = first_per_class(part.labels, per_class, self.manifest.num_classes, seed)
        return Images(part.images[chosen], part.labels[chosen])


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
    images, labels, codes = (np.load(folder / file, allow_pickle=False) for file in ARRAYS)
    return PackedSet(manifest, images, labels, codes)
