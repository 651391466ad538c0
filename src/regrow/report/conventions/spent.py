"""What runs have spent, whole and up to a step, in every cost that is counted."""

from __future__ import annotations

import numpy as np
import pandas as pd

from regrow.config import GrowConfig, ModelConfig, Recipe, RunConfig, TeacherConfig
from regrow.models.flops import BACKWARD, forward_flops
from regrow.report.frames import Records
from regrow.study import runs


def spent(records: Records, cost: str) -> pd.Series:
    """The cost of every run's training, of a learned operator's kept fit; index `<stage>/<run>`.

    Epochs are training images seen: the runs of a family share one training set, and a saving is a ratio.
    """
    if cost == "seconds":
        return records.machines["seconds"]
    whole = records.runs[["steps", "flops"]].astype(float)
    if cost in whole:
        return whole[cost]
    found = {
        key: _counted(run.config, cost, whole.loc[key])
        for key, run in runs(records.params).items()
        if not isinstance(run.config, TeacherConfig)  # no arm is charged its teacher
    }
    return pd.Series(found).reindex(whole.index)


def until(records: Records, cost: str, crossed: pd.DataFrame) -> pd.Series:
    """The cost of a target's training until its crossing; `crossed` has `crossing_<cost>` by (arm, seed)."""
    if f"crossing_{cost}" in crossed:
        return crossed[f"crossing_{cost}"]
    study = runs(records.params)
    found = pd.Series(np.inf, crossed.index)
    for (arm, seed), row in crossed[np.isfinite(crossed["crossing_steps"])].iterrows():
        at = row.rename({"crossing_steps": "steps", "crossing_flops": "flops"})
        run = f"target/{arm}_s{seed}"
        found[(arm, seed)] = _counted(study[run].config, cost, at, int(records.runs["steps"][run]))
    return found


def _counted(config: RunConfig, cost: str, at: pd.Series, steps: int | None = None) -> float:
    """Epochs, or FLOPs at 2 × forward, of a run that has spent `steps` and `flops`; `steps` is its whole training."""
    assert not isinstance(config, TeacherConfig)
    if isinstance(config, GrowConfig):
        if config.fit is None:
            return 0.0  # a closed form
        model, recipe = config.target, config.fit.recipe
    else:
        model, recipe = config.model, config.recipe
    if cost == "epochs":
        return float(at["steps"]) * recipe.batch_size
    return float(at["flops"]) - _surplus(model, recipe, float(at["steps"]), steps or int(at["steps"]))


def _surplus(model: ModelConfig, recipe: Recipe, done: float, steps: int) -> float:
    """FLOPs of the first `done` of `steps` that counting a backward pass as one forward pass leaves out.

    Only the ViT's: what an operator's map costs was counted by torch, and a teacher passes forward alone. In
    bert2BERT's first stage the backward pass goes through `layers` blocks and the head (train/sub_models.py).
    """
    whole, first, part = forward_flops(model), 0.0, 0
    if recipe.sub_models:
        layers = recipe.sub_models.layers
        below = model.model_copy(update={"depth": model.depth - layers})
        part = whole - forward_flops(below) + 2 * model.embed_dim * model.num_classes
        first = min(done, round(recipe.sub_models.share * steps))
    return (BACKWARD - 1) * recipe.batch_size * (first * part + (done - first) * whole)
