"""A run, and how runs are called."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from regrow.config import RunConfig, Stage

NO_PRETRAINING = "no-pretraining"
"""The reference row of the transfer table: the target trained on the transfer set alone."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """One node of the DAG."""

    config: RunConfig
    arm: str
    """The arm, the source, the teacher, or `no-pretraining`: what the tables group by."""

    @property
    def stage(self) -> Stage:
        return self.config.stage

    @property
    def name(self) -> str:
        return self.config.run

    @property
    def key(self) -> str:
        """`<stage>/<run>`."""
        return f"{self.stage}/{self.name}"

    def made(self, summary: Mapping[str, Any]) -> bool:
        """Whether a record's config says the same as this run's; a new option at its default does."""
        try:
            return type(self.config).model_validate(summary.get("config")) == self.config
        except ValidationError:
            return False


def descendant(arm: str, depth: int) -> str:
    """What an arm of the learngene's study is called at a depth."""
    return f"{arm}-d{depth}"
