"""A labelled set from drawings of many designers, whose test designers are unseen in training.

Membership is decided on renderings at one fixed size, so that the set has the same members at every img_size.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import numpy as np

from regrow.data.image_set import RawSet, Track
from regrow.data.render import blank, render, renderer, signature

MEMBERSHIP_SIZE = 64  # pixels a side


@dataclass(frozen=True)
class Drawing:
    """A candidate: what it shows, who drew it, its "collection:icon|licence", its SVG."""

    label: str
    designer: str
    origin: str
    svg: str


TestDesigners = Callable[[Sequence[Drawing]], Collection[str]]


def drawing_set(
    candidates: Sequence[Drawing],
    *,
    img_size: int,
    min_designers: int,
    min_images: int,
    ignore_colour: bool,
    test_designers: TestDesigners,
    source: tuple[str, ...],
    progress: Track,
) -> RawSet:
    """Drop what is blank or a duplicate within its class, drop small classes, render, split by designer.

    Args:
        min_designers, min_images: a class has at least so many, duplicates not counted.
        ignore_colour: drawings that differ in colour only are duplicates.
        test_designers: chooses, from all members, the designers whose drawings are the test images.
    """
    plausible = _large_classes(candidates, min_designers, min_images)
    members = _large_classes(_distinct(plausible, ignore_colour, progress), min_designers, min_images)
    images = np.empty((len(members), img_size, img_size, 3), np.uint8)
    for image, drawing in zip(images, progress(members, f"render at {img_size} px"), strict=True):
        pixels = render(drawing.svg, img_size)
        assert pixels is not None  # it rendered at the other size
        image[:] = pixels
    class_names = sorted({drawing.label for drawing in members})
    code = {name: index for index, name in enumerate(class_names)}
    unseen = set(test_designers(members))
    return RawSet(
        images=images,
        labels=np.array([code[drawing.label] for drawing in members], np.int64),
        is_test=np.array([drawing.designer in unseen for drawing in members], np.bool_),
        class_names=class_names,
        source=(*source, *renderer()),
        origins=tuple(drawing.origin for drawing in members),
    )


def named(*designers: str) -> TestDesigners:
    """These designers are the test."""
    return lambda members: designers


def drawn_by_lot(share: float, largest: float) -> TestDesigners:
    """Designers in a fixed random order until they hold `share` of the images; each less than `largest`."""

    def choose(members: Sequence[Drawing]) -> list[str]:
        sizes = Counter(drawing.designer for drawing in members)
        designers = sorted(sizes)
        chosen: list[str] = []
        for index in np.random.RandomState(0).permutation(len(designers)):
            if sum(sizes[designer] for designer in chosen) >= share * len(members):
                break
            if sizes[designers[index]] < largest * len(members):
                chosen.append(designers[index])
        return chosen

    return choose


def _large_classes(drawings: Sequence[Drawing], min_designers: int, min_images: int) -> list[Drawing]:
    designers: dict[str, set[str]] = defaultdict(set)
    sizes: Counter[str] = Counter()
    for drawing in drawings:
        designers[drawing.label].add(drawing.designer)
        sizes[drawing.label] += 1
    return [d for d in drawings if len(designers[d.label]) >= min_designers and sizes[d.label] >= min_images]


def _distinct(drawings: Sequence[Drawing], ignore_colour: bool, progress: Track) -> list[Drawing]:
    """The drawings that render, show something, and look unlike every earlier one of their class."""
    seen: set[tuple[str, bytes]] = set()
    kept = []
    for drawing in progress(drawings, "compare drawings"):
        pixels = render(drawing.svg, MEMBERSHIP_SIZE)
        if pixels is None or blank(pixels):
            continue
        look = (drawing.label, signature(pixels, ignore_colour))
        if look not in seen:
            seen.add(look)
            kept.append(drawing)
    return kept
