"""How a stage's run begins and ends: its key, its device, and the four files it leaves."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import timm
import torch
import torchvision
from torch import Tensor, nn

from regrow import code, records
from regrow.config import ModelConfig, RunConfig, canonical
from regrow.errors import UserError
from regrow.models.vit import Tensors, check, initial, stack, unstack
from regrow.stages import modules
from regrow.stages.images import Images
from regrow.train import SAVE_EVERY, distributed
from regrow.train.checkpoint import Checkpoint, load_tensors, save_tensors
from regrow.train.device import torch_device
from regrow.train.evaluation import evaluate
from regrow.train.loop import train
from regrow.train.seeds import derive
from regrow.train.state import History
from regrow.train.task import Task


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a run reads and writes, and what it runs on. None of it decides a number but device and `fast`."""

    data: Path
    weights: Path
    records: Path
    work: Path
    device: str = "cpu"
    threads: int = 1
    fast: bool = False
    init: Path | None = None
    save_every: float = SAVE_EVERY
    """Seconds between two checkpoints, at least; 0: after every step."""

    def torch_device(self) -> torch.device:
        """The device, with the given number of threads; deterministic algorithms unless it is to be fast."""
        return torch_device(self.device, self.threads, fast=self.fast)

    def checkpoint(self, config: RunConfig, *inputs: str, part: str = "") -> Checkpoint:
        """The run's resumable state; its key covers all that decides a bit, so that what goes on is what was begun: the
        config, the hashes of what it reads, its code and that of the libraries which compute, the kind of device.
        """
        computes = [
            torch.__version__,
            timm.__version__,
            torchvision.__version__,
            self.torch_device().type,
            f"{self.fast}",
        ]
        decides = [canonical(config), part, *inputs, code.digest(*modules(config)), *computes]
        key = hashlib.sha256("\n".join(decides).encode()).hexdigest()
        return Checkpoint(self.work, key, self.save_every)


def initial_weights(
    config: RunConfig, model: ModelConfig, place: Place, *, new_head: bool = False
) -> tuple[Tensors, dict[str, str]]:
    """The parent's weights (stacked) and their checksum, or fresh weights where the run has no parent.

    A fresh head is zero, as in big_vision's fine-tuning, so no arm is favoured by a draw.

    Raises:
        UserError: no --init though the config names a parent, a damaged file, or another architecture.
    """
    if config.init is None:
        return initial(model, derive(config.seed, "init")), {}
    if place.init is None:
        raise UserError(f"{config.stage}/{config.run}: its config starts from {config.init}; give --init WEIGHTS")
    state, metadata = load_tensors(place.init)
    weights = stack(state)
    if new_head:
        weights["head.weight"] = torch.zeros(model.num_classes, model.embed_dim)
        weights["head.bias"] = torch.zeros(model.num_classes)
    check(weights, model, str(place.init))
    return weights, {"init": metadata["sha256"]}


def train_and_measure(
    task: Task,
    config: RunConfig,
    place: Place,
    images: Images,
    inputs: dict[str, str],
    summary: dict[str, Any],
) -> None:
    """Train to the end, read the test set once, write the outcome: the trained tensors and the model's buffers."""
    inputs = {**inputs, "data": images.digest}
    checkpoint = place.checkpoint(config, *inputs.values())
    done = train(task, checkpoint)
    with torch.no_grad():
        weights = {**task.weights(done.tensors), **done.buffers}
    summary = {**measured(task.model, weights, images, done.history, task.recipe.precision), **summary}
    write_outcome(place, config, {**done.tensors, **done.buffers}, summary, done.history.metrics, done.history, inputs)
    checkpoint.remove()
    print(f"{task.label}  done: test {summary['test_accuracy']:.2f} %, {done.history.seconds:.0f} s of training")


def measured(
    model: nn.Module, weights: Mapping[str, Tensor], images: Images, history: History, precision: str = "float32"
) -> dict[str, Any]:
    """The results that every trained model's summary has; the test set is read here."""
    test, last = images.test(), history.metrics[-1]
    loss, _, predicted = evaluate(model, weights, test, precision)
    return {
        "steps": history.step,
        "examples": last["examples"],
        "flops": last["flops"],
        "minival_loss": last["minival_loss"],
        "minival_accuracy": last["minival_accuracy"],
        "test_metric": images.metric,
        "test_accuracy": images.score(predicted, test.labels),
        "test_loss": loss,
        "test_images": len(test),
    }


def write_outcome(
    place: Place,
    config: RunConfig,
    weights: Tensors,
    summary: dict[str, Any],
    metrics: list[dict[str, Any]],
    history: History,
    inputs: dict[str, str],
) -> None:
    """Write weights, metrics.jsonl, provenance.json and last summary.json; each whole or not at all.

    Of several processes the first writes.

    Raises:
        UserError: a weight is not finite; nothing is written.
    """
    if wrong := [name for name, tensor in weights.items() if not bool(tensor.isfinite().all())]:
        raise UserError(
            f"{config.stage}/{config.run}: {wrong[0]} is not finite at the end; nothing was written. "
            "Lower lr, or train in float32"
        )
    if distributed.rank():
        return
    checksum = save_tensors(place.weights, unstack(weights), run=f"{config.stage}/{config.run}")
    records.write_jsonl(place.records / "metrics.jsonl", metrics)
    device = torch.cuda.get_device_name() if place.torch_device().type == "cuda" else "cpu"
    records.write_json(
        place.records / "provenance.json",
        {
            **records.provenance(),
            "device": device,
            "threads": place.threads,
            "processes": distributed.size(),
            "fast": place.fast,
            "seconds": history.seconds,
            "clock": history.clock,
            "resumes": history.resumes,
        },
    )
    records.write_json(
        place.records / "summary.json",
        {
            "config": config.model_dump(mode="json"),
            "inputs": inputs,
            "weights_sha256": checksum,
            "parameters": sum(tensor.numel() for tensor in weights.values()),
            **summary,
        },
    )
