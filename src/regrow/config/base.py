"""What every config is: typed, frozen, strict about its keys; and its one text."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class Frozen(BaseModel):
    """Keyword-only, immutable, strict about its keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def switch(off: Any, description: str, **limits: Any) -> Any:
    """A field that a config's text leaves out while it is `off`, so that a new switch changes no older run's text."""
    return Field(default=off, description=description, exclude_if=lambda value: value == off, **limits)


def canonical(config: BaseModel) -> str:
    """The one JSON text of a config: what is hashed, written and compared."""
    return json.dumps(config.model_dump(mode="json"), sort_keys=True, indent=1)


def digest(config: BaseModel) -> str:
    """sha256 of the canonical text, in hex."""
    return hashlib.sha256(canonical(config).encode()).hexdigest()
