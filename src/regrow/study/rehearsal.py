"""A tier's rehearsal: every run of one seed, at its real width and by its real recipe, but short. No number counts.

What it shows, before a GPU is paid for, is that every run starts, trains, resumes and is reported.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from regrow.config import DataConfig, Params, Recipe
from regrow.plan.cost import images_of
from regrow.study.data import data_ref

LEAST = 2
"""Steps of the shortest run: one of warm-up and one more."""


def rehearsal(params: Params, *, share: float, batch: int, thin: int) -> Params:
    """A share of every run's steps on batches of `batch` images, measured on one in `thin` of minival and test."""
    size = _images(params, params.source_data)
    shortened: Params = _shorten(params, size, share, batch)
    sets = {
        name: data.model_copy(
            update={
                "thin": thin,
                "duration": _steps(params.transfer_recipe(data), _images(params, data), share),
            }
        )
        for name, data in params.transfer_data.items()
    }
    return shortened.model_copy(
        update={
            "tier": f"{params.tier}-rehearsal",
            "description": f"A REHEARSAL of {params.tier}, {100 * share:g} % of its steps; its numbers mean nothing",
            "seeds": params.seeds[:1],
            "source_data": params.source_data.model_copy(update={"thin": thin}),
            "transfer_data": sets,
        }
    )


def _shorten(value: Any, size: int, share: float, batch: int) -> Any:
    """Every recipe in a config, on a set of `size` training images."""
    if isinstance(value, Recipe):
        warmup = value.warmup_steps(size) / value.steps(size) if isinstance(value.warmup, str) else value.warmup
        short = {"duration": _steps(value, size, share), "batch_size": batch, "warmup": warmup, "evaluations": 1}
        return value.model_copy(update=short)
    if isinstance(value, BaseModel):
        return value.model_copy(
            update={name: _shorten(getattr(value, name), size, share, batch) for name in type(value).model_fields}
        )
    if isinstance(value, dict):
        return {name: _shorten(one, size, share, batch) for name, one in value.items()}
    return value


def _steps(recipe: Recipe, size: int, share: float) -> str:
    return f"{max(LEAST, round(share * recipe.steps(size)))} steps"


def _images(params: Params, data: DataConfig) -> int:
    return images_of(data_ref(params, data), None)["train"]
