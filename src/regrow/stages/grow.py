"""`grow`: a target's initial weights from a source's trained ones, with a fit where the operator is learned."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from regrow.config import Fit, GrowConfig, digest
from regrow.data import load
from regrow.expand import expand
from regrow.growth.operator import Operator, cast, grow
from regrow.growth.registry import operator
from regrow.models.flops import train_flops
from regrow.models.vit import Tensors, build
from regrow.stages.outcome import Place, initial_weights, write_outcome
from regrow.train.batches import ImageTensors, tensors
from regrow.train.loop import History, Task, Trained, evaluate, train
from regrow.train.seeds import derive


def run(config: GrowConfig, place: Place) -> None:
    """Grow, fit where the operator is learned, compare minival before and after, write the outcome."""
    device = place.torch_device()
    packed = load(place.data)
    init, inputs = initial_weights(config, config.source, place)
    basis = {name: tensor.to(device) for name, tensor in init.items()}
    inputs |= {"data": digest(packed.manifest)}
    chosen = operator(config.operator)
    seed = derive(config.seed, "operator")
    minival = tensors(packed, "minival", device, in_chans=config.target.in_chans)
    model = build(config.target).to(device)
    weights = grow(chosen, basis, config.source, config.target, seed)
    loss, accuracy, _ = evaluate(model, weights, minival)
    summary: dict[str, Any] = {
        "before": {"minival_loss": loss, "minival_accuracy": accuracy},
        "steps": 0,
        "flops": 0,
    }
    history = History()
    if config.fit:
        images = tensors(packed, "train", device, in_chans=config.target.in_chans)
        weights, history, fitted = _fit(chosen, config.fit, basis, config, place, model, images, minival, inputs)
        loss, accuracy = (history.metrics[-1][key] for key in ("minival_loss", "minival_accuracy"))
        summary |= fitted
    summary |= {"minival_loss": loss, "minival_accuracy": accuracy}
    write_outcome(place, config, weights, summary, history.metrics, history, inputs)
    print(
        f"grow {config.run}  done: minival {summary['before']['minival_accuracy']:.2f} -> {accuracy:.2f} %",
        flush=True,
    )


def _fit(
    chosen: Operator,
    fit: Fit,
    basis: Tensors,
    config: GrowConfig,
    place: Place,
    model: torch.nn.Module,
    images: ImageTensors,
    minival: ImageTensors,
    inputs: dict[str, str],
) -> tuple[Tensors, History, dict[str, Any]]:
    """Train the operator's cores at every candidate rate; keep the rate with the lowest final minival loss."""
    generator = torch.Generator().manual_seed(derive(config.seed, "operator"))
    cores = cast(chosen.cores(config.source, config.target, generator), basis)
    map_flops = _map_flops(chosen, cores, basis)
    batch_flops = fit.recipe.batch_size * train_flops(config.target)
    candidates: list[tuple[float, Trained]] = []
    for lr in fit.lr_candidates:
        task = Task(
            label=f"grow {config.run} lr {lr:g}",
            model=model,
            trained=cores,
            weights=lambda trained: expand(basis, chosen.maps(trained)),
            decays=lambda name: False,
            train=images,
            minival=minival,
            recipe=fit.recipe.model_copy(update={"lr": lr}),
            seed=config.seed,
            flops_per_step=batch_flops + map_flops,
        )
        candidates.append((lr, train(task, place.checkpoint(config, *inputs.values(), part=f"lr {lr}"))))
    lr, best = min(candidates, key=lambda pair: _final_loss(pair[1]))
    with torch.no_grad():
        weights = expand(basis, chosen.maps(best.tensors))
    flops = best.history.metrics[-1]["flops"]
    summary = {
        "lr": lr,
        "candidates": [{"lr": rate, **done.history.metrics[-1]} for rate, done in candidates],
        "steps": best.history.step,
        "flops": flops,
        "selection_flops": sum(done.history.metrics[-1]["flops"] for _, done in candidates) - flops,
        "operator_parameters": sum(core.numel() for core in cores.values()),
    }
    return weights, best.history, summary


def _final_loss(done: Trained) -> float:
    loss = done.history.metrics[-1]["minival_loss"]
    return loss if math.isfinite(loss) else math.inf


def _map_flops(chosen: Operator, cores: Tensors, basis: Tensors) -> int:
    """FLOPs of the map's forward and backward, counted by torch on one pass."""
    leaves = {name: core.detach().clone().requires_grad_() for name, core in cores.items()}
    with FlopCounterMode(display=False) as counter:
        total = torch.stack([weight.sum() for weight in expand(basis, chosen.maps(leaves)).values()]).sum()
        total.backward()
    return int(counter.get_total_flops())
