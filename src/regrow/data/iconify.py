"""The icon collections of @iconify/json: one JSON file a collection, one SVG body an icon."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from regrow.data.npm import NpmPackage, unpacked

PACKAGE = NpmPackage(
    "@iconify/json",
    "2.2.535",
    "1a545f86fa224d6531d8fb101dcbe83aac2b28689a21cbed6fc68318a5af4d91",
    "json/*.json",
)
EMOJI_PACKAGE = NpmPackage(
    "unicode-emoji-json",
    "0.9.0",
    "ae7efacb55533385bf8767d613dbd36c71226669759d95919a6e9059f5e4c401",
    "data-by-emoji.json",
)


@dataclass(frozen=True)
class Collection:
    """One collection: who drew it, under which licence, and its icons."""

    content: dict[str, Any]

    @property
    def prefix(self) -> str:
        """The collection's own name: `mdi-light`."""
        return str(self.content["prefix"])

    @property
    def stem(self) -> str:
        """The first word of the prefix: `mdi` of `mdi-light`, the same designers."""
        return self.prefix.split("-")[0]

    @property
    def category(self) -> str:
        """What iconify files it under, or nothing."""
        return str(self._info.get("category", ""))

    @property
    def author(self) -> str:
        """Who drew it; "?" where nobody is named."""
        return str(self._info.get("author", {}).get("name", "?"))

    @property
    def licence(self) -> str:
        """An SPDX identifier, or nothing."""
        return str(self._info.get("license", {}).get("spdx", ""))

    @property
    def non_commercial(self) -> bool:
        """Whether the licence forbids commercial use."""
        return "NC" in self.licence

    @property
    def names(self) -> list[str]:
        """The icons that the collection still shows, in file order."""
        return [name for name, icon in self.content["icons"].items() if not icon.get("hidden")]

    def origin(self, name: str) -> str:
        """Whom to thank: "collection:icon|licence"."""
        return f"{self.prefix}:{name}|{self.licence}"

    def svg(self, name: str) -> str:
        """The icon as a document: its box widened to a square around it, black where it names no colour."""
        icon = self.content["icons"][name]
        left, top, width, height = (
            icon.get(key, self.content.get(key, default))
            for key, default in (("left", 0), ("top", 0), ("width", 16), ("height", 16))
        )
        side = max(width, height)
        box = f"{left - (side - width) / 2} {top - (side - height) / 2} {side} {side}"
        return (
            '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
            f'viewBox="{box}" color="#000">{icon["body"]}</svg>'
        )

    @property
    def _info(self) -> dict[str, Any]:
        return self.content.get("info") or {}


def collections(cache: Path) -> Iterator[Collection]:
    """Every collection of the pinned package, by file name."""
    for path in sorted((unpacked(PACKAGE, cache) / "json").glob("*.json")):
        yield Collection(json.loads(path.read_bytes()))


def unicode_emoji(cache: Path) -> dict[str, dict[str, str]]:
    """Unicode's emoji: the character -> its `name`, `slug` and `group`."""
    table: dict[str, dict[str, str]] = json.loads((unpacked(EMOJI_PACKAGE, cache) / "data-by-emoji.json").read_bytes())
    return table


def slug(text: str) -> str:
    """Lower case, everything but letters and digits a hyphen: "Face: Grinning" -> "face-grinning"."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
