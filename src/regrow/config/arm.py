"""One row of a table."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from regrow.config.base import Frozen
from regrow.config.recipe import Fit, OperatorConfig, Recipe


class Arm(Frozen):
    """One row of a table: where a target's initial weights come from."""

    label: str
    operator: OperatorConfig | None = Field(default=None, description="absent: trained from scratch")
    source: str | None = Field(default=None, description="what is grown: a model of `sources`, or a learngene")
    fit: Fit | None = Field(default=None, description="instead of the tier's `fit`, for a learned operator")
    train: Recipe | None = Field(default=None, description="instead of the recipe that the other arms share")

    @model_validator(mode="after")
    def _grown_by_something(self) -> Self:
        if self.source is not None and self.operator is None:
            raise ValueError("an arm with a `source` needs an `operator`; scratch has neither")
        return self
