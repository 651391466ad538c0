"""The operators by their papers' names: one line here and one small file make a new one.

Importing this module imports no operator and no torch; `operator` loads the one asked for.
"""

from __future__ import annotations

import difflib
import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from regrow.config import OperatorConfig, explain
from regrow.errors import UserError

if TYPE_CHECKING:
    from regrow.growth.operator import Operator


@dataclass(frozen=True)
class Entry:
    """Where an operator lives and whether its maps are fitted through the task loss."""

    module: str
    cls: str
    learned: bool = False


OPERATORS = {
    "stackbert": Entry("regrow.growth.depth", "StackBert"),
    "interpolation": Entry("regrow.growth.depth", "Interpolation"),
    "bert2bert-fpi": Entry("regrow.growth.fpi", "Fpi"),
    "mango": Entry("regrow.growth.mango", "Mango", learned=True),
}


def entry(name: str) -> Entry:
    """The registry's line for an operator."""
    if name not in OPERATORS:
        near = difflib.get_close_matches(name, OPERATORS, n=1, cutoff=0.0)[0]
        raise UserError(
            f"operator {name!r} is not registered; did you mean {near!r}? There are: {', '.join(OPERATORS)}"
        )
    return OPERATORS[name]


def operator(config: OperatorConfig) -> Operator:
    """The operator with its options checked."""
    line = entry(config.name)
    cls: type[Operator] = getattr(importlib.import_module(line.module), line.cls)
    try:
        return cls.model_validate(config.options)
    except ValidationError as error:
        raise UserError(explain(error, Path(f"operator {config.name}"), cls)) from error
