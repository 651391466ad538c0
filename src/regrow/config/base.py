"""What every config is: typed, frozen, strict about its keys; and its one text."""

from __future__ import annotations

import hashlib
import json

from pydantic import BaseModel, ConfigDict


class Frozen(BaseModel):
    """Keyword-only, immutable, strict about its keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def canonical(config: BaseModel) -> str:
    """The one JSON text of a config: what is hashed, written and compared."""
    return json.dumps(config.model_dump(mode="json"), sort_keys=True, indent=1)


def digest(config: BaseModel) -> str:
    """sha256 of the canonical text, in hex."""
    return hashlib.sha256(canonical(config).encode()).hexdigest()
