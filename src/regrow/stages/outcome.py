"""How a stage's run begins and ends: its key, its device, and the four files it leaves."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from regrow import records
from regrow.config import ModelConfig, RunConfig, canonical
from regrow.errors import UserError
from regrow.models.vit import Tensors, check, initial, stack, unstack
from regrow.train.checkpoint import Checkpoint, load_tensors, save_tensors
from regrow.train.loop import History
from regrow.train.seeds import derive


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a run reads and writes, and what it runs on. None of it decides a number but the device."""

    data: Path
    weights: Path
    records: Path
    work: Path
    device: str = "cpu"
    threads: int = 1
    init: Path | None = None

    def torch_device(self) -> torch.device:
        """The device, with deterministic algorithms and the given number of threads."""
        device = torch.device(
            "cuda" if self.device == "auto" and torch.cuda.is_available() else self.device.replace("auto", "cpu")
        )
        if device.type == "cuda" and not torch.cuda.is_available():
            raise UserError("--device cuda: no GPU is visible to torch here; use --device cpu")
        torch.set_num_threads(self.threads)
        torch.use_deterministic_algorithms(True)
        return device

    def checkpoint(self, config: RunConfig, *inputs: str, part: str = "") -> Checkpoint:
        """The run's resumable state; its key covers the config and the hashes of what it reads."""
        key = hashlib.sha256("\n".join([canonical(config), part, *inputs]).encode()).hexdigest()
        return Checkpoint(self.work, key)


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


def write_outcome(
    place: Place,
    config: RunConfig,
    weights: Tensors,
    summary: dict[str, Any],
    metrics: list[dict[str, Any]],
    history: History,
    inputs: dict[str, str],
) -> None:
    """Write weights, metrics.jsonl, provenance.json and last summary.json; each whole or not at all."""
    checksum = save_tensors(place.weights, unstack(weights), run=f"{config.stage}/{config.run}")
    records.write_jsonl(place.records / "metrics.jsonl", metrics)
    device = torch.cuda.get_device_name() if place.torch_device().type == "cuda" else "cpu"
    records.write_json(
        place.records / "provenance.json",
        {
            **records.provenance(),
            "device": device,
            "threads": place.threads,
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
