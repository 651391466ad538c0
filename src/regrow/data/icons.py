"""Icons-1055: what a drawing shows, by independent designers: many classes, a long tail, like ImageNet-1K."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from regrow.data.concepts import concept
from regrow.data.drawings import Drawing, drawing_set, drawn_by_lot
from regrow.data.iconify import PACKAGE, Collection, collections
from regrow.data.image_set import ImageSet, RawSet, Track

OTHER_CATEGORIES = {"Logos", "Programming", "Emoji"}
OTHER_SETS = {  # of brands, flags and emoji, whatever their category says
    "brandico",
    "bxl",
    "cif",
    "circle-flags",
    "devicon-original",
    "entypo-social",
    "fa-brands",
    "fa6-brands",
    "fa7-brands",
    "flag",
    "flagpack",
    "fluent-emoji",
}
MIN_DESIGNERS = 10  # that draw a concept, for it to be a class
MOST_OF_ONE_DESIGNER = 6  # drawings of one concept


def build(img_size: int, cache: Path, progress: Track) -> RawSet:
    """The drawings of concepts that at least 10 designers draw, at least 20 drawings a concept."""
    chosen = [c for c in collections(cache) if _shows_concepts(c)]
    return drawing_set(
        _candidates(chosen),
        img_size=img_size,
        min_designers=1,
        min_images=20,
        ignore_colour=True,
        test_designers=drawn_by_lot(share=0.12, largest=0.05),
        source=(PACKAGE.identity,),
        progress=progress,
    )


def designers(chosen: Sequence[Collection]) -> dict[str, str]:
    """Collection -> designer: those that share an author or their prefix's first word are one designer's.

    A designer is named by a first word; where two meet, the later one's name stays.
    """
    name_of: dict[str, str] = {}  # "author ..." or a first word -> designer
    for collection in chosen:
        author = f"author {collection.author}"
        new = name_of.setdefault(collection.stem, collection.stem)
        old = name_of.setdefault(author, new)
        name_of.update({key: new for key, name in name_of.items() if name == old})
    return {collection.prefix: name_of[collection.stem] for collection in chosen}


def _candidates(chosen: Sequence[Collection]) -> list[Drawing]:
    """Concepts that enough designers draw, a few drawings of each designer, chosen by lot."""
    designer_of = designers(chosen)
    found: dict[str, dict[str, list[tuple[str, Collection, str]]]] = defaultdict(lambda: defaultdict(list))
    for collection in chosen:
        for icon in collection.names:
            if name := concept(icon):
                drawn = found[name][designer_of[collection.prefix]]
                drawn.append((collection.origin(icon), collection, icon))
    lot = np.random.RandomState(0)
    candidates = []
    for name in sorted(found):
        if len(found[name]) < MIN_DESIGNERS:
            continue
        for designer, drawn in sorted(found[name].items()):
            ordered = sorted(drawn, key=lambda item: item[0])
            if len(ordered) > MOST_OF_ONE_DESIGNER:
                ordered = [ordered[pick] for pick in sorted(lot.permutation(len(ordered))[:MOST_OF_ONE_DESIGNER])]
            for origin, collection, icon in ordered:
                candidates.append(Drawing(name, designer, origin, collection.svg(icon)))
    return candidates


def _shows_concepts(collection: Collection) -> bool:
    of_another_set = collection.category in OTHER_CATEGORIES or collection.prefix in OTHER_SETS
    return not of_another_set and not collection.non_commercial


ICONS = ImageSet(
    name="icons",
    what="Icons-1055: what a drawing shows, by 137 designers; dark on white; the test designers are unseen",
    citation="made from @iconify/json, see docs/data.md",
    licence="mixed open licences, one a image in origins.txt",
    num_classes=1_055,
    train=51_758,
    test=7_911,
    polarity="dark-on-light",
    flip=False,  # "left" and "right" are classes
    metric="accuracy",
    build=build,
)
