"""The operators by their papers' names: one line here and one small file make a new one.

Importing this module imports no operator and no torch; `operator` loads the one asked for.
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from regrow.config import ModelConfig, OperatorConfig, explain
from regrow.errors import UserError
from regrow.growth.norm import as_given, with_scaled_eps

if TYPE_CHECKING:
    from regrow.growth.operator import Operator


@dataclass(frozen=True)
class Entry:
    """Where an operator lives, and what the study must know of it before torch is imported.

    `learned`: its maps are fitted through the task loss. `source`: it grows a trained model; without one its basis
    is the target's fresh weights. `target`: the architecture it grows into, from the source's and the study's target.
    """

    module: str
    cls: str
    learned: bool = False
    source: bool = True
    target: Callable[[ModelConfig, ModelConfig], ModelConfig] = as_given


OPERATORS = {
    "stackbert": Entry("regrow.growth.depth", "StackBert"),
    "interpolation": Entry("regrow.growth.depth", "Interpolation"),
    "net2net": Entry("regrow.growth.net2net", "Net2Net"),
    "bert2bert-fpi": Entry("regrow.growth.fpi", "Fpi"),
    "bert2bert-aki": Entry("regrow.growth.aki", "Aki"),
    "lemon": Entry("regrow.growth.lemon", "Lemon", target=with_scaled_eps),
    "ligo": Entry("regrow.growth.ligo", "Ligo", learned=True),
    "ligo-code": Entry("regrow.growth.ligo_code", "LigoCode", learned=True),
    "ligo-untied": Entry("regrow.growth.ligo", "LigoUntied", learned=True),
    "mango": Entry("regrow.growth.mango", "Mango", learned=True),
    "weight-selection": Entry("regrow.growth.selection", "WeightSelection"),
    "mimetic": Entry("regrow.growth.mimetic", "Mimetic", source=False),
    "tleg": Entry("regrow.growth.learngene", "Tleg"),
    "share-init": Entry("regrow.growth.learngene", "ShareInit"),
    "identity": Entry("regrow.growth.inherit", "Identity"),
    "truncate-stack": Entry("regrow.growth.inherit", "TruncateStack"),
    "heur-lg": Entry("regrow.growth.inherit", "HeurLg"),
    "auto-lg": Entry("regrow.growth.inherit", "AutoLg"),
}


def entry(name: str) -> Entry:
    """The registry's line for an operator."""
    if name not in OPERATORS:
        near = difflib.get_close_matches(name, OPERATORS, n=1, cutoff=0.0)[0]
        raise UserError(
            f"operator {name!r} is not registered; did you mean {near!r}? There are: {', '.join(OPERATORS)}"
        )
    return OPERATORS[name]


def target_config(name: str, source: ModelConfig, target: ModelConfig) -> ModelConfig:
    """The architecture that an operator grows `source` into: `target`, but for LEMON's norm_eps."""
    return entry(name).target(source, target)


def operator(config: OperatorConfig) -> Operator:
    """The operator with its options checked."""
    line = entry(config.name)
    cls: type[Operator] = getattr(importlib.import_module(line.module), line.cls)
    try:
        return cls.model_validate(config.options)
    except ValidationError as error:
        raise UserError(explain(error, Path(f"operator {config.name}"), cls)) from error
