"""Photographs of many sizes, brought to squares of one size while they are packed."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

import numpy as np

from regrow.data.image_set import Chunked, ImageSet, Mask, Pixels, RawSet, Track
from regrow.data.own_folder import OwnFolder
from regrow.errors import UserError

if TYPE_CHECKING:
    from PIL.Image import Image

CROP = 0.875  # the centre of the shorter side that is kept, timm's default for evaluation
WHOLE = 1.0  # of sets whose images are small squares
CHUNK = 512  # images decoded before they are written: 77 MB at 224 px

T = TypeVar("T")


class Encoded(Protocol):
    """A file, or a member of a shard."""

    def read_bytes(self) -> bytes:
        """The image as JPEG or PNG."""
        ...


Sample = tuple[Encoded, int]


def photographs(
    image_set: ImageSet,
    folder: OwnFolder,
    *,
    train: Sequence[Sample],
    test: Sequence[Sample],
    class_names: Sequence[str],
    img_size: int,
    progress: Track,
    crop: float = CROP,
) -> RawSet:
    """The set of these images, train first; they are decoded when they are written.

    Raises:
        UserError: a listed image is not there, or there are not as many as were published.
    """
    samples = [*train, *test]
    absent = [image for image, _ in samples if isinstance(image, Path) and not image.is_file()]
    if absent:
        raise folder.error(f"{len(absent):,} of {len(samples):,} images are not there, for instance {absent[0]}")
    if (len(train), len(test)) != (image_set.train, image_set.test):
        expected = f"{image_set.train:,} training and {image_set.test:,} test images"
        raise folder.error(f"expected {expected}, found {len(train):,} and {len(test):,}")
    read = partial(_square, img_size=img_size, crop=crop)
    return RawSet(
        images=in_chunks([image for image, _ in samples], read, img_size, f"read {image_set.name}", progress),
        labels=np.array([label for _, label in samples], np.int64),
        is_test=np.arange(len(samples)) >= len(train),
        class_names=list(class_names),
        source=(f"folder:{folder.name}",),
    )


def held_out_of(samples: Sequence[Sample], mask: Mask) -> tuple[list[Sample], list[Sample]]:
    """Training and test images where the set has no published split: those that the mask leaves, and the marked."""
    train, test = ([samples[index] for index in np.flatnonzero(side).tolist()] for side in (~mask, mask))
    return train, test


def in_chunks(items: Sequence[T], read: Callable[[T], Pixels], img_size: int, label: str, progress: Track) -> Chunked:
    """Images [N, img_size, img_size, 3] that `read` makes of `items`, on all cores: PIL decodes without a lock."""

    def chunks() -> Iterator[Pixels]:
        with ThreadPoolExecutor() as pool:
            for first in progress(range(0, len(items), CHUNK), f"{label}, by {CHUNK}"):
                yield np.stack(list(pool.map(read, items[first : first + CHUNK])))

    return Chunked((len(items), img_size, img_size, 3), chunks)


def centre(image: Image, img_size: int, crop: float) -> Pixels:
    """The middle of an image as uint8 [img_size, img_size, 3]: `crop` of its shorter side, bicubic."""
    from PIL.Image import Resampling

    image = image.convert("RGB")
    scale = img_size / crop / min(image.size)
    width, height = (round(side * scale) for side in image.size)
    left, top = (width - img_size) // 2, (height - img_size) // 2
    box = (left, top, left + img_size, top + img_size)
    return np.asarray(image.resize((width, height), Resampling.BICUBIC).crop(box))


def _square(encoded: Encoded, img_size: int, crop: float) -> Pixels:
    import PIL.Image

    try:
        with PIL.Image.open(io.BytesIO(encoded.read_bytes())) as image:
            return centre(image, img_size, crop)
    except OSError as error:
        raise UserError(f"{encoded}: not an image that PIL reads ({error}); get the file again") from error
