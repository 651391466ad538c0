"""Flags-226: countries by their flag, as nine designers draw it."""

from __future__ import annotations

import re
from pathlib import Path

from regrow.data.drawings import Drawing, drawing_set, named
from regrow.data.iconify import EMOJI_PACKAGE, PACKAGE, collections, slug, unicode_emoji
from regrow.data.image_set import ImageSet, RawSet, Track

BY_CODE = {"circle-flags", "flagpack", "cif"}  # icons named `fr`
BY_CODE_AND_SHAPE = {"flag"}  # icons named `fr-1x1` and `fr-4x3`
BY_COUNTRY = {
    "noto-v1",
    "twemoji",
    "openmoji",
    "emojione",
    "emojione-v1",
}  # `flag-for-flag-france`, `flag-france`
REGIONAL_A = 0x1F1E6  # the first of the 26 letters that spell a flag emoji


def build(img_size: int, cache: Path, progress: Track) -> RawSet:
    """The drawings of flags, at least 6 designers a country."""
    code_of = _codes(cache)
    candidates = []
    for collection in collections(cache):
        if collection.prefix not in BY_CODE | BY_CODE_AND_SHAPE | BY_COUNTRY:
            continue
        for name in collection.names:
            code = _code(collection.prefix, name, code_of)
            if code:
                candidates.append(Drawing(code, collection.prefix, collection.origin(name), collection.svg(name)))
    return drawing_set(
        candidates,
        img_size=img_size,
        min_designers=6,
        min_images=6,
        ignore_colour=False,
        test_designers=named("openmoji", "circle-flags"),
        source=(PACKAGE.identity, EMOJI_PACKAGE.identity),
        progress=progress,
    )


def _codes(cache: Path) -> dict[str, str]:
    """Unicode's flags of two letters: the slug "flag-france" -> "fr"."""
    codes = {}
    for emoji, entry in unicode_emoji(cache).items():
        letters = [ord(character) - REGIONAL_A for character in emoji]
        if entry["group"] == "Flags" and all(0 <= letter < 26 for letter in letters):
            codes[slug(entry["name"])] = "".join(chr(ord("a") + letter) for letter in letters)
    return codes


def _code(prefix: str, name: str, code_of: dict[str, str]) -> str | None:
    """The two letters of the country that an icon shows."""
    if prefix in BY_COUNTRY:
        match = re.fullmatch(r"flag-(?:for-(?:flag-)?)?(.+)", name)
        return code_of.get(f"flag-{match[1]}") if match else None
    shape = r"([a-z]{2})-(?:1x1|4x3)" if prefix in BY_CODE_AND_SHAPE else r"([a-z]{2})"
    match = re.fullmatch(shape, name)
    return match[1] if match else None


FLAGS = ImageSet(
    name="flags",
    what="Flags-226: flags of 226 countries by nine designers, drawn; colour; the test designers are unseen",
    citation="made from @iconify/json and unicode-emoji-json, see docs/data.md",
    licence="mixed open licences, one a image in origins.txt",
    num_classes=226,
    train=1_526,
    test=451,
    polarity="colour",
    flip=False,  # Ireland's flag, flipped, is that of Ivory Coast
    metric="accuracy",
    build=build,
)
