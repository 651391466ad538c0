"""WebDataset shards: tar files in which `key.jpg` and `key.cls` follow each other (timm's imagenet-1k-wds).

The shards are read by `tarfile`, which needs no package and reads them in the same order on every machine; the
`webdataset` library is for streaming in random order.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from regrow.data.image_set import Track
from regrow.data.photographs import Sample

IMAGES = {"jpg", "jpeg", "png", "webp"}
LABEL = "cls"


@dataclass(frozen=True)
class Member:
    """An image inside a shard."""

    shard: Path
    name: str
    offset: int  # bytes from the start of the shard
    size: int  # bytes

    def read_bytes(self) -> bytes:
        """The image as JPEG or PNG."""
        with self.shard.open("rb") as file:
            file.seek(self.offset)
            return file.read(self.size)

    def __str__(self) -> str:
        return f"{self.shard}:{self.name}"


def listed(shards: Sequence[Path], progress: Track, label: str) -> list[Sample]:
    """Every image of the shards with its label, in their order. Reads headers and labels only.

    Raises:
        ValueError: a shard that is no tar, or an image without a label or a label without an image.
    """
    return [sample for shard in progress(shards, label) for sample in _samples(shard)]


def _samples(shard: Path) -> Iterator[Sample]:
    images: dict[str, Member] = {}
    labels: dict[str, int] = {}
    try:
        with tarfile.open(shard, "r:") as tar:
            for member in tar:
                path = PurePosixPath(member.name)
                stem, _, kind = path.name.partition(".")
                key = str(path.parent / stem)
                if kind.lower() in IMAGES:
                    images[key] = Member(shard, member.name, member.offset_data, member.size)
                elif kind == LABEL and (content := tar.extractfile(member)):
                    labels[key] = int(content.read())
    except tarfile.TarError as error:
        raise ValueError(f"{shard}: {error}") from error
    if odd := sorted(images.keys() ^ labels.keys()):
        raise ValueError(f"{shard}: {odd[0]} has not both an image and a .{LABEL}")
    return iter([(member, labels[key]) for key, member in images.items()])
