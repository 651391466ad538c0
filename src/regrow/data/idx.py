"""The idx format of MNIST and of sets made in its image: four files, verified decompressed, then parsed.

Distributors recompress the .gz files, so a checksum of those would refuse good copies; the decompressed bytes
are the same everywhere.
"""

from __future__ import annotations

import gzip
import hashlib
import http.client
import math
import tempfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from regrow.data.cache import alone
from regrow.data.image_set import Pixels, RawSet, Track
from regrow.data.resize import to_size
from regrow.data.routes import NotThere, Route, RouteFailed, first_that_works
from regrow.records import write_bytes

Digests = Mapping[str, str]  # file name -> sha256 of the decompressed bytes
Files = dict[str, bytes]

TRAIN_IMAGES, TRAIN_LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"
TEST_IMAGES, TEST_LABELS = "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"


def fetch_idx(name: str, digests: Digests, routes: Sequence[Route[Files]], cache: Path) -> Files:
    """The four files, verified: from the cache, else by the first route that works and then kept there."""
    kept = cache / name
    with alone(cache, name):
        return first_that_works(
            name,
            [("cache", lambda: read_verified(kept, digests)), *(_keeping(route, kept) for route in routes)],
            cure=f"put the files {', '.join(digests)} (or their .gz) into {kept}",
        )


def _keeping(route: Route[Files], kept: Path) -> Route[Files]:
    """The route, which also writes what it brings into the folder `kept`."""
    name, bring = route

    def bring_and_keep() -> Files:
        files = bring()
        for file, content in files.items():
            write_bytes(kept / file, content)
        return files

    return name, bring_and_keep


def read_verified(folder: Path, digests: Digests) -> Files:
    """The decompressed files of a folder that has them plain or as .gz; RouteFailed unless all verify."""
    files = {}
    for file, expected in digests.items():
        files[file] = _plain(folder / file)
        if (got := hashlib.sha256(files[file]).hexdigest()) != expected:
            raise RouteFailed(f"{folder / file}: expected sha256 {expected} decompressed, got {got}")
    return files


def from_torchvision(dataset: str, digests: Digests, cache: Path) -> Files:
    """Torchvision's own download of `FashionMNIST` or `MNIST`."""
    try:
        from torchvision import datasets
    except ImportError as error:
        raise NotThere("torchvision is not installed") from error
    with tempfile.TemporaryDirectory(dir=cache, prefix=f".{dataset}-") as scratch:
        try:
            getattr(datasets, dataset)(root=scratch, download=True)
        except (OSError, RuntimeError, http.client.HTTPException) as error:
            raise RouteFailed(f"torchvision's download failed: {error}") from error
        return read_verified(Path(scratch) / dataset / "raw", digests)


def idx_set(files: Files, digests: Digests, class_names: list[str], img_size: int, progress: Track) -> RawSet:
    """The training and test images, in file order, resized if need be."""
    images = np.concatenate([parse_idx(files[TRAIN_IMAGES]), parse_idx(files[TEST_IMAGES])])[..., None]
    labels = [parse_idx(files[TRAIN_LABELS]), parse_idx(files[TEST_LABELS])]
    resized, resizer = to_size(images, img_size, "bicubic", progress)
    return RawSet(
        images=resized,
        labels=np.concatenate(labels).astype(np.int64),
        is_test=np.repeat([False, True], [len(part) for part in labels]),
        class_names=class_names,
        source=(*(f"{file} sha256:{digest}" for file, digest in digests.items()), *resizer),
    )


def parse_idx(content: bytes) -> Pixels:
    """An array of bytes: two zeros, type 8, the number of axes; then big-endian sizes; then the data."""
    axes = content[3]
    start = 4 + 4 * axes
    shape = [int.from_bytes(content[i : i + 4], "big") for i in range(4, start, 4)]
    assert content[:3] == b"\0\0\x08"
    assert len(content) == start + math.prod(shape)
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


def _plain(path: Path) -> bytes:
    packed = path.with_name(f"{path.name}.gz")
    try:
        if path.exists():
            return path.read_bytes()
        return gzip.decompress(packed.read_bytes())
    except FileNotFoundError as error:
        raise NotThere(f"{path}: no such file, plain or .gz") from error
    except (OSError, EOFError, zlib.error) as error:
        raise RouteFailed(f"{packed}: does not decompress or read: {error}") from error
