"""What the steps of a run change, and a checkpoint keeps: tensors, optimiser, running statistics, average, history."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from regrow.models.vit import Tensors
from regrow.train.checkpoint import Checkpoint
from regrow.train.ema import Ema
from regrow.train.task import Task

ADAMW = ("step", "exp_avg", "exp_avg_sq")
"""What AdamW keeps of a trained tensor; of one that had no gradient yet, nothing."""


@dataclass(kw_only=True)
class History:
    """What happened so far; it travels in the checkpoint, so it counts over kills and resumes."""

    step: int = 0
    flops: int = 0
    seconds: float = 0.0
    resumes: int = 0
    metrics: list[dict[str, Any]] = field(default_factory=list)
    clock: list[float] = field(default_factory=list)
    """Training seconds at each entry of `metrics`; evaluation is outside the clock."""


class State:
    """A run's state, at its start until `restore` finds a later one."""

    def __init__(self, task: Task) -> None:
        self.model = task.model
        self.trained = {name: tensor.detach().clone().requires_grad_() for name, tensor in task.trained.items()}
        self.optimizer = _optimizer(self.trained, task)
        decay = task.recipe.ema
        self.ema = Ema({**self.trained, **buffers(self.model)}, decay) if decay else None
        self.history = History()

    def measured(self) -> tuple[Tensors, Tensors]:
        """What is evaluated and written: trained tensors and running statistics, or their moving average."""
        held = self.ema.tensors if self.ema else {**self.trained, **buffers(self.model)}
        return {name: held[name] for name in self.trained}, {n: held[n] for n in held if n not in self.trained}

    def save(self, checkpoint: Checkpoint) -> None:
        """Write all of it."""
        tensors = {**self.trained, **{f"buffer/{name}": buffer for name, buffer in buffers(self.model).items()}}
        if self.ema:
            tensors |= {f"ema/{name}": average for name, average in self.ema.tensors.items()}
        for name, tensor in self.trained.items():
            state = self.optimizer.state.get(tensor, {})
            tensors |= {f"{key}/{name}": state[key] for key in ADAMW if key in state}
        checkpoint.save(tensors, vars(self.history))

    def restore(self, checkpoint: Checkpoint) -> None:
        """Take the checkpoint's state, where there is one."""
        found = checkpoint.load()
        if found is None:
            return
        tensors, state = found
        self.history = History(**state)
        self.history.resumes += 1
        with torch.no_grad():
            for name, tensor in self.trained.items():
                tensor.copy_(tensors[name])
                kept = {key: tensors[f"{key}/{name}"] for key in ADAMW if f"{key}/{name}" in tensors}
                if kept:
                    self.optimizer.state[tensor] = {key: held.to(tensor.device) for key, held in kept.items()}
            for name, buffer in buffers(self.model).items():
                buffer.copy_(tensors[f"buffer/{name}"])
            if self.ema:
                for name, average in self.ema.tensors.items():
                    average.copy_(tensors[f"ema/{name}"])


def buffers(model: nn.Module) -> Tensors:
    """The model's running statistics, which training changes in place; a ViT has none."""
    learned = dict(model.named_parameters())
    return {name: tensor for name, tensor in model.state_dict().items() if name not in learned}


def _optimizer(trained: Tensors, task: Task) -> torch.optim.AdamW:
    """AdamW, torch's fused one; weight decay only where `task.decays` says so."""
    groups = [
        {
            "params": [t for name, t in trained.items() if task.decays(name)],
            "weight_decay": task.recipe.weight_decay,
        },
        {"params": [t for name, t in trained.items() if not task.decays(name)], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(
        [group for group in groups if group["params"]],
        lr=task.recipe.lr,
        betas=task.recipe.betas,
        fused=True,
    )
