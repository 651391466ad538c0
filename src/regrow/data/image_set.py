"""What a data set is: its description (`ImageSet`) and the images that its builder returns (`RawSet`)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

Polarity = Literal["light-on-dark", "dark-on-light", "colour"]
Metric = Literal["accuracy", "balanced_accuracy"]

T = TypeVar("T")


class Track(Protocol):
    """Passes items through and reports how far it is."""

    def __call__(self, items: Sequence[T], label: str) -> Iterator[T]:
        """The items, one by one; `label` says what is being done."""
        ...


@dataclass(frozen=True)
class Chunked:
    """Images that are made while they are written, for a set that is larger than memory."""

    shape: tuple[int, int, int, int]  # [N, H, W, C]
    chunks: Callable[[], Iterator[Pixels]]  # N images in all, in order


@dataclass(frozen=True, kw_only=True)
class RawSet:
    """All images of a set, before a minival is held out."""

    images: Pixels | Chunked  # [N, H, W, C]; C = 1 for a grey set
    labels: Labels  # [N], 0 .. num_classes - 1
    is_test: Mask  # [N]
    class_names: list[str]  # in label order
    source: tuple[str, ...]  # identities of what the images were made from, the same whichever route brought them
    origins: tuple[str, ...] = ()  # one a image where authors differ: "collection:icon|licence"


Build = Callable[[int, Path, Track], RawSet]


@dataclass(frozen=True, kw_only=True)
class ImageSet:
    """One line of the registry.

    `train` and `test` are the counts to expect (train before a minival is held out). `polarity` says whether
    figures are lighter or darker than their ground, so that a transfer between the two can invert at random.
    `flip` is true where a horizontal flip keeps the label.
    """

    name: str
    what: str
    citation: str
    licence: str
    num_classes: int
    train: int
    test: int
    polarity: Polarity
    flip: bool
    metric: Metric
    build: Build
