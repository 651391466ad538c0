"""Fit a learned operator through the task loss: train its cores at every candidate rate, keep the best on minival."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from regrow.config import Fit, ModelConfig
from regrow.expand import expand
from regrow.growth.operator import Operator, cast
from regrow.models.flops import train_flops
from regrow.models.vit import Tensors
from regrow.train.batches import ImageTensors
from regrow.train.checkpoint import Checkpoint
from regrow.train.counted import map_flops
from regrow.train.loop import Trained, train
from regrow.train.losses import Diverged
from regrow.train.seeds import derive
from regrow.train.state import History
from regrow.train.task import Task


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """The fitted operator's stacked target weights, the best rate's history, and what a summary tells of the fit."""

    weights: Tensors
    history: History
    summary: dict[str, Any]


def fit_operator(
    operator: Operator,
    fit: Fit,
    basis: Tensors,
    source: ModelConfig,
    target: ModelConfig,
    *,
    model: nn.Module,
    images: ImageTensors,
    minival: ImageTensors,
    seed: int,
    label: str,
    fast: bool = False,
    checkpoint: Callable[[float], Checkpoint | None] = lambda lr: None,
) -> Fitted:
    """Train the cores at every candidate rate; the rate with the lowest final minival loss is kept.

    `model` is a build of the target, `basis` the source's stacked weights, both on the device of the images.
    `checkpoint` gives the resumable state of a rate's training, or None. A rate at which the loss is not finite is out;
    its steps are paid for.

    Raises:
        Diverged: there is no other.
    """
    generator = torch.Generator().manual_seed(derive(seed, "operator"))
    cores = cast(operator.cores(source, target, generator), basis)

    def weights(trained: Tensors) -> Tensors:
        return expand(basis, operator.maps(trained))

    flops_per_step = fit.recipe.batch_size * train_flops(target) + map_flops(weights, cores)
    candidates: list[dict[str, Any]] = []
    fits: list[tuple[float, Trained]] = []
    for lr in fit.lr_candidates:
        task = Task(
            label=f"{label} lr {lr:g}",
            model=model,
            trained=cores,
            weights=weights,
            decays=lambda name: False,
            train=images,
            minival=minival,
            recipe=fit.recipe.model_copy(update={"lr": lr}),
            seed=seed,
            flops_per_step=flops_per_step,
            fast=fast,
        )
        try:
            fits.append((lr, train(task, checkpoint(lr))))
            candidates.append({"lr": lr, **fits[-1][1].history.metrics[-1]})
        except Diverged as error:
            print(f"{error}; this candidate is out", flush=True)
            candidates.append({"lr": lr, **_diverged(error.step, fit.recipe.batch_size, flops_per_step)})
            last = error
    if not fits:
        raise last
    lr, best = min(fits, key=lambda pair: pair[1].history.metrics[-1]["minival_loss"])
    with torch.no_grad():
        grown = weights(best.tensors)
    flops = best.history.metrics[-1]["flops"]
    summary = {
        "lr": lr,
        "candidates": candidates,
        "steps": best.history.step,
        "flops": flops,
        "selection_flops": sum(candidate["flops"] for candidate in candidates) - flops,
        "operator_parameters": sum(core.numel() for core in cores.values()),
    }
    return Fitted(weights=grown, history=best.history, summary=summary)


def _diverged(steps: int, batch: int, flops_per_step: int) -> dict[str, Any]:
    """The last line of a fit that had no end."""
    spent = {"step": steps, "examples": steps * batch, "flops": steps * flops_per_step}
    return {**spent, "train_loss": None, "minival_loss": None, "minival_accuracy": None}
