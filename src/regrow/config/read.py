"""Reading a params file or a run's config; an error names the file, the key and the nearest valid one."""

from __future__ import annotations

import difflib
import json
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from regrow.config.params import Params
from regrow.config.runs import CONFIGS, RunConfig, TrainConfig
from regrow.errors import UserError

Checked = TypeVar("Checked", bound=BaseModel)


def load_params(path: Path) -> Params:
    """Read and check a params file."""
    try:
        raw = yaml.safe_load(path.read_text())
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such params file; the shipped tiers are in params/") from error
    except yaml.YAMLError as error:
        raise UserError(f"{path}: not valid YAML: {error}") from error
    return _checked(Params, raw, path)


def load_run(path: Path) -> RunConfig:
    """Read and check the resolved config of one run."""
    try:
        raw = json.loads(path.read_text())
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such config; `regrow config PARAMS STAGE/RUN` prints one") from error
    except json.JSONDecodeError as error:
        raise UserError(f"{path}: not valid JSON: {error}; delete it and let Snakemake write it again") from error
    return _checked(CONFIGS.get(str(raw.get("stage")) if isinstance(raw, dict) else "", TrainConfig), raw, path)


def _checked(kind: type[Checked], raw: Any, path: Path) -> Checked:
    try:
        return kind.model_validate(raw)
    except ValidationError as error:
        raise UserError(explain(error, path, kind)) from error


def explain(error: ValidationError, path: Path, root: type[BaseModel]) -> str:
    """One line per problem: the file, the key, what is wrong, and for an unknown key the nearest valid one."""
    lines = []
    for problem in error.errors():
        where = ".".join(str(part) for part in problem["loc"]) or "(top level)"
        text = problem["msg"].removeprefix("Value error, ")
        if problem["type"] == "extra_forbidden":
            valid = _fields_at(root, problem["loc"][:-1])
            near = difflib.get_close_matches(str(problem["loc"][-1]), valid, n=1, cutoff=0.0)
            text = f"unknown key; did you mean {near[0]!r}?" if near else "unknown key"
            text += f" (valid: {', '.join(valid)})" if valid else ""
        elif problem["type"] not in ("missing", "value_error"):
            text += f", got {problem['input']!r}"
        lines.append(f"{path}: {where}: {text}")
    return "\n".join(lines)


def _fields_at(root: type[BaseModel], loc: tuple[int | str, ...]) -> list[str]:
    """The valid keys of the model that an error location points into; a dict's own keys are passed over."""
    model = root
    for part in loc:
        field = model.model_fields.get(str(part))
        if field and (inner := _models_in(field.annotation)):
            model = inner[0]
    return sorted(model.model_fields)


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for arg in getattr(annotation, "__args__", ()) for model in _models_in(arg)]
