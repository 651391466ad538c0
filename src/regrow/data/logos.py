"""Logos-267: brands by their logo, as the makers of twelve collections draw it."""

from __future__ import annotations

import re
from pathlib import Path

from regrow.data.drawings import Drawing, drawing_set, named
from regrow.data.iconify import PACKAGE, Collection, collections
from regrow.data.image_set import ImageSet, RawSet, Track

CATEGORIES = {"Logos", "Programming"}
BRANDS_OF_GENERAL_COLLECTIONS = {"bxl", "fa-brands", "fa6-brands", "fa7-brands"}
NOT_BRANDS = {  # file types, editor symbols, coins
    "catppuccin",
    "codicon",
    "cryptocurrency",
    "cryptocurrency-color",
    "entypo-social",
    "file-icons",
    "material-icon-theme",
    "nonicons",
    "token",
    "token-branded",
    "vscode-icons",
}
SAME_DESIGNER = {"fa6": "fa", "fa7": "fa"}
STYLE_OF_NAME = re.compile(
    r"-icon|-light|-dark|-wordmark|-original|-plain|-line|-colored|-logo|-fill|-\d+|^logo-|^file-type-"
)


def build(img_size: int, cache: Path, progress: Track) -> RawSet:
    """The drawings of logos under a licence that lets anyone use them, at least 6 designers a brand."""
    candidates = []
    for collection in filter(_has_brands, collections(cache)):
        designer = SAME_DESIGNER.get(collection.stem, collection.stem)
        for name in collection.names:
            candidates.append(Drawing(brand(name), designer, collection.origin(name), collection.svg(name)))
    return drawing_set(
        candidates,
        img_size=img_size,
        min_designers=6,
        min_images=6,
        ignore_colour=False,
        test_designers=named("arcticons", "cib", "selfhst"),
        source=(PACKAGE.identity,),
        progress=progress,
    )


def brand(icon: str) -> str:
    """The brand that an icon's name tells: "github-icon", "logo-github" and "git-hub" are all "github"."""
    return STYLE_OF_NAME.sub("", icon).replace("-", "")


def _has_brands(collection: Collection) -> bool:
    shows_brands = collection.category in CATEGORIES or collection.prefix in BRANDS_OF_GENERAL_COLLECTIONS
    return shows_brands and collection.prefix not in NOT_BRANDS and not collection.non_commercial


LOGOS = ImageSet(
    name="logos",
    what="Logos-267: logos of 267 brands by twelve designers, drawn; the test designers are unseen",
    citation="made from @iconify/json, see docs/data.md",
    licence="mixed open licences, one a image in origins.txt; the marks belong to their owners",
    num_classes=267,
    train=1_964,
    test=706,
    polarity="colour",
    flip=False,
    metric="accuracy",
    build=build,
)
