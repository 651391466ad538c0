"""Named recipes: what papers trained with, in recipes.yaml beside this file, each value with its source.

    train: {like: deit, duration: 60 epochs, augment: {flip: false}}

is DeiT's recipe for 60 epochs without flips: what is given replaces the named recipe's value, within `augment` key by
key. A run's resolved config holds the values, never the name.
"""

from __future__ import annotations

import difflib
from functools import cache
from pathlib import Path
from typing import Any

import yaml


@cache
def recipes() -> dict[str, dict[str, Any]]:
    """Every named recipe as it is written, by name."""
    found: dict[str, dict[str, Any]] = yaml.safe_load(Path(__file__).with_name("recipes.yaml").read_text())
    return found


def resolve(given: Any) -> Any:
    """Put the named recipe's values where `given` has none; a named recipe may itself be like another.

    Raises:
        ValueError: no recipe of that name.
    """
    if not isinstance(given, dict) or "like" not in given:
        return given
    name = given["like"]
    if name not in recipes():
        near = difflib.get_close_matches(str(name), recipes(), n=1, cutoff=0.0)[0]
        raise ValueError(f"like: no recipe {name!r}; did you mean {near!r}? (there are: {', '.join(recipes())})")
    base, own = resolve(recipes()[name]), {key: value for key, value in given.items() if key != "like"}
    if isinstance(base.get("augment"), dict) and isinstance(own.get("augment"), dict):
        own["augment"] = {**base["augment"], **own["augment"]}
    return {**base, **own}
