"""The one training loop. It knows no method: a task says what is trained and how weights are made of it.

    logits = functional_call(model, unstack(weights(trained)), images)

Plain training: `weights` is the identity. A learned operator: `weights = expand(source, maps(cores))`. A learngene:
`weights = expand(theta, maps)`, with a teacher in the `loss`.
"""

from __future__ import annotations

import math
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from types import FrameType
from typing import Any

import torch
from timm.scheduler.cosine_lr import CosineLRScheduler
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import cross_entropy

from regrow.config import Recipe
from regrow.errors import UserError
from regrow.models.vit import Tensors, unstack
from regrow.train import distributed
from regrow.train.augment import mixed
from regrow.train.batches import ImageTensors, order
from regrow.train.checkpoint import Checkpoint
from regrow.train.ema import Ema
from regrow.train.progress import Reporter
from regrow.train.seeds import derive, seed_generators
from regrow.train.sub_models import FirstStage
from regrow.train.whole_batch import see_whole_batches

SAVE_EVERY = 20.0
"""Seconds between two checkpoints."""

EVAL_BATCH = 512

Loss = Callable[[Tensor, Tensor, Tensor], Tensor]
"""(logits [B, K], images [B, C, H, W], labels [B], or probabilities [B, K] where pairs are mixed) -> a scalar."""


@dataclass(frozen=True, kw_only=True)
class Task:
    """What a run trains. `weights` maps the trained tensors to stacked ViT weights and must be differentiable.

    `loss` goes before cross-entropy with the recipe's label smoothing, `first_stage` before training the whole model;
    `fast` compiles the training step's forward and backward pass.
    """

    label: str
    model: nn.Module
    trained: Tensors
    weights: Callable[[Tensors], Mapping[str, Tensor]]
    decays: Callable[[str], bool]
    train: ImageTensors
    minival: ImageTensors
    recipe: Recipe
    seed: int
    flops_per_step: int
    loss: Loss | None = None
    first_stage: FirstStage | None = None
    fast: bool = False

    @cached_property
    def forward(self) -> Callable[..., Tensor]:
        """`functional_call`, compiled where the run is to be fast."""
        return torch.compile(functional_call) if self.fast else functional_call

    @property
    def models(self) -> list[nn.Module]:
        """Every model that a step may run."""
        return [self.model, *(self.first_stage.models.values() if self.first_stage else ())]

    def flops(self, step: int) -> int:
        """Training FLOPs of one step, of all processes."""
        first = self.first_stage
        return first.flops(step) if first and first.covers(step) else self.flops_per_step


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


@dataclass(frozen=True, kw_only=True)
class Trained:
    """The end of a run: the trained tensors and the model's running statistics, or the moving average of both."""

    tensors: Tensors
    buffers: Tensors
    history: History


class Stopped(SystemExit):
    """A signal asked the run, in one process or more, to stop; its state is saved."""


def train(task: Task, checkpoint: Checkpoint | None = None) -> Trained:
    """Train to the end of the recipe, from the checkpoint where there is one.

    Raises:
        UserError: the loss is not finite; nothing of that step was applied. Processes that cannot share the batch
            alike, or do not see the same checkpoint.
        Stopped: SIGTERM or SIGINT; the state is saved first.
    """
    recipe = task.recipe
    steps = recipe.steps(len(task.train))
    trained = {name: tensor.detach().clone().requires_grad_() for name, tensor in task.trained.items()}
    optimizer = _optimizer(trained, task)
    ema = Ema({**trained, **buffers(task.model)}, recipe.ema) if recipe.ema else None
    for model in task.models:
        see_whole_batches(model)
    with distributed.first_goes_first():
        history = _restore(checkpoint, task.model, trained, optimizer, ema)
    if distributed.agreed(history.step) > history.step:
        raise UserError(
            f"{task.label}: process {distributed.rank()} sees another checkpoint than the first; --work must lie on a "
            "file system that all processes share"
        )
    warmup = recipe.warmup_steps(len(task.train))
    schedule = CosineLRScheduler(
        optimizer,
        t_initial=steps,
        lr_min=recipe.min_lr,
        warmup_t=warmup,
        warmup_lr_init=recipe.lr / max(1, warmup),
        warmup_prefix=False,
        t_in_epochs=False,
    )
    evaluate_at = {round(steps * number / recipe.evaluations) for number in range(1, recipe.evaluations + 1)}
    if not history.metrics:
        _record(task, trained, history, ema)
    task.model.train()
    saved = started = time.monotonic()
    with Reporter(task.label, steps, history.step) as reporter, _signals() as caught:
        indices = order(
            len(task.train), recipe.batch_size, steps, task.seed, history.step, repeats=recipe.repeated_augment
        )
        for index in indices:
            schedule.step_update(history.step)
            loss = _step(task, trained, optimizer, index, history.step)
            history.flops += task.flops(history.step)
            history.step += 1
            if ema:
                ema.update(history.step)
            if history.step in evaluate_at:
                history.seconds += time.monotonic() - started
                latest = _record(task, trained, history, ema, loss)
                task.model.train()
                started = time.monotonic()
                reporter.note = f"minival {latest['minival_accuracy']:.2f} %  loss {latest['minival_loss']:.3f}"
            reporter.update(history.step)
            stop = distributed.agreed(caught[0] if caught else 0)
            if checkpoint and history.step < steps and (stop or time.monotonic() - saved > SAVE_EVERY):
                now = time.monotonic()
                history.seconds, started = history.seconds + now - started, now
                _save(checkpoint, task.model, trained, optimizer, history, ema)
                saved = time.monotonic()
            if stop and history.step < steps:
                distributed.wait()
                raise Stopped(128 + stop)
    history.seconds += time.monotonic() - started
    tensors, statistics = _measured(task, trained, ema)
    return Trained(
        tensors={name: tensor.detach() for name, tensor in tensors.items()}, buffers=statistics, history=history
    )


def evaluate(model: nn.Module, weights: Mapping[str, Tensor], images: ImageTensors) -> tuple[float, float, Tensor]:
    """Mean cross-entropy, accuracy in percent, and the predicted class of every image [N].

    Processes share the batches, which are those of one process: the same weights give the same bits.
    """
    model.eval()
    state = unstack(weights)
    losses, predicted = torch.zeros(len(images), device=images.labels.device), torch.zeros_like(images.labels)
    with torch.inference_mode():
        for start in range(distributed.rank() * EVAL_BATCH, len(images), distributed.size() * EVAL_BATCH):
            part = slice(start, start + EVAL_BATCH)
            logits = functional_call(model, state, (images.pixels(part),)).float()
            losses[part] = cross_entropy(logits, images.labels[part], reduction="none")
            predicted[part] = logits.argmax(1)
    distributed.add(losses)
    distributed.add(predicted)
    accuracy = 100 * (predicted == images.labels).double().mean()
    return float(losses.double().mean()), float(accuracy), predicted


def buffers(model: nn.Module) -> Tensors:
    """The model's running statistics, which training changes in place; a ViT has none."""
    learned = dict(model.named_parameters())
    return {name: tensor for name, tensor in model.state_dict().items() if name not in learned}


def _measured(task: Task, trained: Tensors, ema: Ema | None) -> tuple[Tensors, Tensors]:
    """What is evaluated and written: trained tensors and running statistics, or their moving average."""
    held = ema.tensors if ema else {**trained, **buffers(task.model)}
    return {name: held[name] for name in trained}, {name: held[name] for name in held if name not in trained}


def _step(task: Task, trained: Tensors, optimizer: torch.optim.Optimizer, index: Tensor, step: int) -> float:
    """One optimiser step on the images `index`, of which each process takes its part; returns the training loss.

    What is random is drawn for the whole batch, so it does not depend on the number of processes.
    """
    recipe = task.recipe
    device = task.train.labels.device
    seed_generators(derive(task.seed, "step", step))
    index = index.to(device)
    part = distributed.part(len(index))
    images = task.train.pixels(index, recipe.augment)
    images, labels = mixed(images, task.train.labels[index], recipe, task.train.num_classes)
    images, labels = images[part], labels[part]
    with torch.autocast(device.type, dtype=torch.bfloat16, enabled=recipe.precision == "bfloat16"):
        model, state = task.model, unstack(task.weights(trained))
        if task.first_stage and task.first_stage.covers(step):
            model, state = task.first_stage.cut(state, step)
        logits = task.forward(model, state, (images,)).float()
        if task.loss:
            loss = task.loss(logits, images, labels)
        else:
            loss = cross_entropy(logits, labels, label_smoothing=recipe.label_smoothing)
    mean = loss.detach()
    distributed.average([mean])
    value = mean.item()
    if not math.isfinite(value):
        raise UserError(
            f"{task.label}: the loss is {value} at step {step}; no step was taken. Lower lr or raise warmup"
        )
    optimizer.zero_grad()
    loss.backward()
    distributed.average(tensor.grad for tensor in trained.values() if tensor.grad is not None)
    if recipe.grad_clip is not None:
        nn.utils.clip_grad_norm_(list(trained.values()), recipe.grad_clip)
    optimizer.step()
    return value


def _optimizer(trained: Tensors, task: Task) -> torch.optim.AdamW:
    """AdamW, torch's fused one on a GPU; weight decay only where `task.decays` says so."""
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
        fused=True if task.train.labels.is_cuda else None,
    )


def _record(
    task: Task, trained: Tensors, history: History, ema: Ema | None, train_loss: float | None = None
) -> dict[str, Any]:
    """Evaluate on minival and append to the history; outside the clock."""
    tensors, statistics = _measured(task, trained, ema)
    with torch.no_grad():
        weights = {**task.weights(tensors), **statistics}
    loss, accuracy, _ = evaluate(task.model, weights, task.minival)
    history.metrics.append(
        {
            "step": history.step,
            "examples": history.step * task.recipe.batch_size,
            "flops": history.flops,
            "train_loss": train_loss,
            "minival_loss": loss,
            "minival_accuracy": accuracy,
        }
    )
    history.clock.append(history.seconds)
    return history.metrics[-1]


def _save(
    checkpoint: Checkpoint,
    model: nn.Module,
    trained: Tensors,
    optimizer: torch.optim.Optimizer,
    history: History,
    ema: Ema | None,
) -> None:
    tensors = {**trained, **{f"buffer/{name}": buffer for name, buffer in buffers(model).items()}}
    if ema:
        tensors |= {f"ema/{name}": average for name, average in ema.tensors.items()}
    for name, tensor in trained.items():
        state = optimizer.state[tensor]
        tensors |= {f"{key}/{name}": state[key] for key in ("exp_avg", "exp_avg_sq")}
    checkpoint.save(tensors, vars(history))


def _restore(
    checkpoint: Checkpoint | None,
    model: nn.Module,
    trained: Tensors,
    optimizer: torch.optim.Optimizer,
    ema: Ema | None,
) -> History:
    """Put the checkpoint's state into tensors, model, optimiser and average; a fresh history at a first start."""
    found = checkpoint.load() if checkpoint else None
    if found is None:
        return History()
    tensors, state = found
    history = History(**state)
    history.resumes += 1
    with torch.no_grad():
        for name, tensor in trained.items():
            tensor.copy_(tensors[name])
            moments = {key: tensors[f"{key}/{name}"].to(tensor.device) for key in ("exp_avg", "exp_avg_sq")}
            where = tensor.device if optimizer.defaults["fused"] else "cpu"
            optimizer.state[tensor] = {"step": torch.tensor(float(history.step), device=where), **moments}
        for name, buffer in buffers(model).items():
            buffer.copy_(tensors[f"buffer/{name}"])
        if ema:
            for name, average in ema.tensors.items():
                average.copy_(tensors[f"ema/{name}"])
    return history


@contextmanager
def _signals() -> Iterator[list[int]]:
    """A list that is empty until SIGTERM or SIGINT comes; the loop then finishes its step and saves."""
    caught: list[int] = []

    def catch(number: int, frame: FrameType | None) -> None:
        caught.append(number)

    previous = {number: signal.signal(number, catch) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield caught
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
