"""`grow`: a target's initial weights from a source's trained ones, with a fit where the operator is learned."""

from __future__ import annotations

from typing import Any

from regrow.config import GrowConfig
from regrow.growth.operator import grow
from regrow.growth.registry import operator
from regrow.models.vit import build
from regrow.stages.images import Images
from regrow.stages.outcome import Place, initial_weights, write_outcome
from regrow.train.evaluation import evaluate
from regrow.train.fit import fit_operator
from regrow.train.seeds import derive
from regrow.train.state import History


def run(config: GrowConfig, place: Place) -> None:
    """Grow, fit where the operator is learned, compare minival before and after, write the outcome."""
    device = place.torch_device()
    images = Images.load(config, place.data, device, in_chans=config.target.in_chans)
    init, inputs = initial_weights(config, config.source, place)
    basis = {name: tensor.to(device) for name, tensor in init.items()}
    inputs |= {"data": images.digest}
    chosen = operator(config.operator)
    model = build(config.target).to(device)
    weights = grow(chosen, basis, config.source, config.target, derive(config.seed, "operator"))
    precision = config.fit.recipe.precision if config.fit else "float32"
    loss, accuracy, _ = evaluate(model, weights, images.minival, precision)
    summary: dict[str, Any] = {
        "before": {"minival_loss": loss, "minival_accuracy": accuracy},
        "steps": 0,
        "flops": 0,
    }
    history = History()
    checkpoints = {
        lr: place.checkpoint(config, *inputs.values(), part=f"lr {lr}")
        for lr in (config.fit.lr_candidates if config.fit else ())
    }
    if config.fit:
        fitted = fit_operator(
            chosen,
            config.fit,
            basis,
            config.source,
            config.target,
            model=model,
            images=images.train,
            minival=images.minival,
            seed=config.seed,
            label=f"grow {config.run}",
            fast=place.fast,
            checkpoint=checkpoints.get,
        )
        weights, history = fitted.weights, fitted.history
        loss, accuracy = (history.metrics[-1][key] for key in ("minival_loss", "minival_accuracy"))
        summary |= fitted.summary
    summary |= {"minival_loss": loss, "minival_accuracy": accuracy}
    write_outcome(place, config, weights, summary, history.metrics, history, inputs)
    for checkpoint in checkpoints.values():
        checkpoint.remove()
    print(
        f"grow {config.run}  done: minival {summary['before']['minival_accuracy']:.2f} -> {accuracy:.2f} %",
        flush=True,
    )
