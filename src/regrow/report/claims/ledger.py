"""The ledger, params/claims.yaml: every number that the papers state, and which number of ours stands beside it."""

from __future__ import annotations

import difflib
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

import pandas as pd
import yaml
from pydantic import Field, ValidationError, model_validator

from regrow.config import Frozen, explain
from regrow.errors import UserError
from regrow.report.claims.quantities import QUANTITIES

CLAIMS, ARITHMETIC = Path("params/claims.yaml"), Path("results/arithmetic/claims.csv")
"""Where the repository has the ledger, and what `regrow count` writes."""
EXACT, TRAINING, IMAGENET = "exact arithmetic", "training", "ImageNet"


class Claim(Frozen):
    """One number of one paper."""

    paper: str
    place: str = Field(description="where in the paper")
    known_from: Literal["abstract", "table", "public code", "another paper"] = Field(
        description="what was read to know it"
    )
    statement: str
    value: float
    unit: Literal["%", "points", "x"]
    sense: Literal["about", "at least"] = "about"
    tolerance: float = Field(ge=0, description="in `unit`; how far off still is the same number")
    scope: Literal["exact arithmetic", "training", "ImageNet"] = Field(
        description="settled by counting; by training, whose direction shows in any tier; or on ImageNet only"
    )
    quantity: str = Field(description=f"one of QUANTITIES; of exact arithmetic a claim of {ARITHMETIC}")
    arm: str | None = None
    over: tuple[str, ...] = Field(default=(), description="arms; the best that the tier has is what `arm` is held to")
    data: str | None = Field(default=None, description="the transfer set; any other can show the direction only")
    against: float | None = Field(default=None, description="the claimed side begins here, and `value` lies on it")

    @model_validator(mode="after")
    def _fits_its_scope(self) -> Self:
        if self.scope == EXACT:
            if given := sorted({"arm", "over", "data", "against"} & self.model_fields_set):
                raise ValueError(f"{given[0]}: a claim of exact arithmetic has none")
            return self
        if self.quantity not in QUANTITIES:
            raise ValueError(f"quantity: {self.quantity!r} is unknown; {nearest(self.quantity, QUANTITIES)}")
        if self.arm is None:
            raise ValueError("arm: which arm's number is it?")
        if QUANTITIES[self.quantity].ratio != (self.unit == "x") or (self.unit == "x" and not self.over):
            raise ValueError(f"unit: {self.quantity} is no number in {self.unit!r}; a ratio is 'x' and needs `over`")
        if (self.against is None and self.scope == TRAINING) or self.against == self.value:
            raise ValueError("against: a claim on training needs the number, other than `value`, that it is beyond")
        return self


class _File(Frozen):
    claims: dict[str, Claim] = Field(min_length=1)


@dataclass(frozen=True, kw_only=True)
class Ledger:
    """The claims by their id, and every reading of those that are settled by counting."""

    claims: dict[str, Claim]
    readings: pd.DataFrame
    """Index `claim`, in the order of the file: a claim's first row is our reading."""


def load_ledger(path: Path, arithmetic: Path) -> Ledger:
    """Read and check params/claims.yaml, and the table of `regrow count` that settles a part of it.

    Raises:
        UserError: a file is missing or broken, or a key, a quantity or a claim of the arithmetic is unknown.
    """
    try:
        claims = _File.model_validate(yaml.safe_load(path.read_text())).claims
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such ledger of claims; name it with --claims") from error
    except yaml.YAMLError as error:
        raise UserError(f"{path}: not valid YAML: {error}") from error
    except ValidationError as error:
        raise UserError(explain(error, path, _File)) from error
    try:
        readings = pd.read_csv(arithmetic, index_col="claim")
    except FileNotFoundError as error:
        raise UserError(f"{arithmetic}: no such table; `regrow count --out {arithmetic.parent}` makes it") from error
    for name, claim in claims.items():
        if claim.scope == EXACT and claim.quantity not in readings.index:
            near = nearest(claim.quantity, readings.index.unique())
            raise UserError(f"{path}: claims.{name}.quantity: {arithmetic} has no {claim.quantity!r}; {near}")
    return Ledger(claims=claims, readings=readings)


def nearest(name: str, valid: Collection[str]) -> str:
    """What was probably meant, and all that is valid."""
    return f"did you mean {difflib.get_close_matches(name, valid, n=1, cutoff=0.0)[0]!r}? (valid: {', '.join(valid)})"
