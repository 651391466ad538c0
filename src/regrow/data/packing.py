"""Packing: build a set once, hold out a minival, write three arrays and, last, the manifest."""

from __future__ import annotations

import hashlib
import io
import logging
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from regrow.data.cache import open_cache
from regrow.data.holdout import stratified
from regrow.data.image_set import ImageSet, RawSet, Track
from regrow.data.manifest import SPLITS, Manifest, Split
from regrow.data.progress import track
from regrow.data.registry import find_set
from regrow.data.write_images import write_images
from regrow.errors import UserError
from regrow.records import write_bytes

log = logging.getLogger(__name__)


def pack(
    name: str,
    img_size: int,
    seed: int,
    minival: float,
    out: Path,
    cache: Path | None = None,
    progress: Track = track,
) -> Manifest:
    """Write the set `name` into the folder `out`; the same arguments give the same bytes.

    Args:
        img_size: pixels a side.
        seed: chooses the minival, 0 .. 2**32 - 1.
        minival: training images to hold out, stratified by class: a number, or as a float below 1 a share.
        out: gets images.npy, labels.npy, split.npy, manifest.json, and origins.txt where authors differ.
        cache: folder for downloads; by default $REGROW_CACHE, else ~/.cache/regrow.
    """
    image_set = find_set(name)
    if img_size < 1:
        raise UserError(f"img_size: expected at least 1 pixel, got {img_size}")
    if not 0 <= seed < 2**32:
        raise UserError(f"data seed: expected 0 to 2**32 - 1, got {seed}")
    raw = image_set.build(img_size, open_cache(cache), progress)
    return write_packed(image_set, raw, seed=seed, minival=minival, out=out)


def write_packed(image_set: ImageSet, raw: RawSet, *, seed: int, minival: float, out: Path) -> Manifest:
    """Split `raw` and write it. The old manifest goes first, the new one comes last: half a pack is none."""
    _check(image_set, raw)
    split = _split(raw, seed, minival)
    files = {"labels.npy": _npy(raw.labels), "split.npy": _npy(split)}
    (out / "manifest.json").unlink(missing_ok=True)
    images = write_images(out / "images.npy", raw.images, split == SPLITS.index("train"))
    counts: dict[Split, int] = {part: int((split == code).sum()) for code, part in enumerate(SPLITS)}
    manifest = Manifest(
        name=image_set.name,
        what=image_set.what,
        img_size=raw.images.shape[1],
        channels=raw.images.shape[3],
        num_classes=image_set.num_classes,
        class_names=tuple(raw.class_names),
        counts=counts,
        seed=seed,
        minival=minival,
        mean=images.mean,
        std=images.std,
        polarity=image_set.polarity,
        flip=image_set.flip,
        metric=image_set.metric,
        source=raw.source,
        licence=image_set.licence,
        citation=image_set.citation,
        sha256={
            "images.npy": images.sha256,
            **{file: hashlib.sha256(content).hexdigest() for file, content in files.items()},
        },
    )
    for file, content in files.items():
        write_bytes(out / file, content)
    if raw.origins:
        write_bytes(out / "origins.txt", "".join(f"{origin}\n" for origin in raw.origins).encode())
    write_bytes(out / "manifest.json", manifest.text().encode())
    return manifest


def _split(raw: RawSet, seed: int, minival: float) -> npt.NDArray[np.uint8]:
    """0 train, 1 minival, 2 test for every image."""
    train = np.flatnonzero(~raw.is_test)
    held_out = _minival_count(minival, len(train))
    split = np.where(raw.is_test, SPLITS.index("test"), SPLITS.index("train")).astype(np.uint8)
    split[train[stratified(raw.labels[train], held_out, seed)]] = SPLITS.index("minival")
    return split


def _minival_count(minival: float, train: int) -> int:
    if isinstance(minival, int) and 0 <= minival < train:
        return minival
    if isinstance(minival, float) and 0 <= minival < 1:
        return round(minival * train)
    raise UserError(
        f"minival: expected a number of images below {train} (like 5000) or a share below 1 (like 0.1), got {minival!r}"
    )


def _check(image_set: ImageSet, raw: RawSet) -> None:
    """Refuse another number of classes; tell of another number of images, which the manifest then records."""
    n, height, width, _ = raw.images.shape
    assert height == width
    assert raw.labels.shape == raw.is_test.shape == (n,)
    assert [raw.labels.dtype, raw.is_test.dtype] == [np.int64, np.bool_]
    assert np.array_equal(np.unique(raw.labels), range(len(raw.class_names)))
    assert not raw.origins or len(raw.origins) == n
    made_by = f"made from {', '.join(raw.source)}; install the versions of requirements.lock"
    if len(raw.class_names) != image_set.num_classes:
        raise UserError(
            f"{image_set.name}: expected {image_set.num_classes} classes, got {len(raw.class_names)}, {made_by}"
        )
    expected, got = (image_set.train, image_set.test), (int((~raw.is_test).sum()), int(raw.is_test.sum()))
    if got != expected:
        log.warning("%s: expected %s train and test images, got %s, %s", image_set.name, expected, got, made_by)


def _npy(array: npt.NDArray[Any]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.ascontiguousarray(array), allow_pickle=False)
    return buffer.getvalue()
