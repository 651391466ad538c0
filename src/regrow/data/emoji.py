"""Emoji-1554: Unicode's emoji, as seven vendors draw them in ten designs."""

from __future__ import annotations

import re
from pathlib import Path

from regrow.data.drawings import Drawing, drawing_set, named
from regrow.data.iconify import EMOJI_PACKAGE, PACKAGE, Collection, collections, slug, unicode_emoji
from regrow.data.image_set import ImageSet, RawSet, Track

VENDORS = {
    "emojione": "emojione",
    "emojione-v1": "emojione",
    "fluent-emoji": "fluent",
    "fluent-emoji-flat": "fluent",
    "fxemoji": "fxemoji",
    "noto": "noto",
    "noto-v1": "noto",
    "openmoji": "openmoji",
    "streamline-emojis": "streamline",
    "twemoji": "twemoji",
}
CODE_POINT = re.compile(r"^u[0-9a-f]+-")  # before the words in some collections: "u1f600-grinning-face"


def build(img_size: int, cache: Path, progress: Track) -> RawSet:
    """The drawings of Unicode's emoji but flags, at least 4 vendors and 5 drawings an emoji."""
    name_of = _names(cache)
    candidates = []
    for collection in collections(cache):
        if collection.prefix in VENDORS:
            candidates += _drawings(collection, name_of)
    return drawing_set(
        candidates,
        img_size=img_size,
        min_designers=4,
        min_images=5,
        ignore_colour=False,
        test_designers=named("openmoji", "fxemoji"),
        source=(PACKAGE.identity, EMOJI_PACKAGE.identity),
        progress=progress,
    )


def _names(cache: Path) -> dict[str, str]:
    """How an icon may be called -> Unicode's name of the emoji; flags are a set of their own."""
    names = {}
    for entry in unicode_emoji(cache).values():
        for spelling in (entry["name"], entry["slug"]):
            names[slug(spelling)] = "" if entry["group"] == "Flags" else entry["name"]
    return names


def _drawings(collection: Collection, name_of: dict[str, str]) -> list[Drawing]:
    """One drawing of each emoji that the collection has, the first in file order."""
    found: dict[str, Drawing] = {}
    for icon in collection.names:
        spelling = slug(icon)
        name = name_of.get(spelling) or name_of.get(CODE_POINT.sub("", spelling))
        if name and name not in found:
            found[name] = Drawing(name, VENDORS[collection.prefix], collection.origin(icon), collection.svg(icon))
    return list(found.values())


EMOJI = ImageSet(
    name="emoji",
    what="Emoji-1554: emoji by seven vendors, drawn; colour; the test vendors are unseen",
    citation="made from @iconify/json and unicode-emoji-json, see docs/data.md",
    licence="mixed open licences, one a image in origins.txt",
    num_classes=1_554,
    train=9_612,
    test=1_784,
    polarity="colour",
    flip=False,  # arrows and letters
    metric="accuracy",
    build=build,
)
