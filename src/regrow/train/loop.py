"""The one training loop. It knows no method: a task says what is trained and how weights are made of it.

    logits = functional_call(model, unstack(weights(trained)), images)

Plain training: `weights` is the identity. A learned operator: `weights = expand(source, maps(cores))`. A learngene:
`weights = expand(theta, maps)`, with a teacher in the `loss`.
"""

from __future__ import annotations

import math
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any

import torch
from timm.scheduler.cosine_lr import CosineLRScheduler
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from regrow.errors import UserError
from regrow.models.vit import Tensors, unstack
from regrow.train import distributed
from regrow.train.augment import mixed
from regrow.train.batches import order
from regrow.train.checkpoint import Checkpoint
from regrow.train.evaluation import evaluate
from regrow.train.progress import Reporter
from regrow.train.seeds import derive, seed_generators
from regrow.train.state import History, State
from regrow.train.task import Task
from regrow.train.whole_batch import see_whole_batches


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
    for model in task.models:
        see_whole_batches(model)
    state = State(task)
    if checkpoint:
        with distributed.first_goes_first():
            state.restore(checkpoint)
    history = state.history
    if distributed.agreed(history.step) > history.step:
        raise UserError(
            f"{task.label}: process {distributed.rank()} sees another checkpoint than the first; --work must lie on a "
            "file system that all processes share"
        )
    warmup = recipe.warmup_steps(len(task.train))
    schedule = CosineLRScheduler(
        state.optimizer,
        t_initial=steps,
        lr_min=recipe.min_lr,
        warmup_t=warmup,
        warmup_lr_init=recipe.lr / max(1, warmup),
        warmup_prefix=False,
        t_in_epochs=False,
    )
    evaluate_at = {round(steps * number / recipe.evaluations) for number in range(1, recipe.evaluations + 1)}
    if not history.metrics:
        _record(task, state)
    task.model.train()
    saved = started = time.monotonic()
    with Reporter(task.label, steps, history.step) as reporter, _signals() as caught:
        indices = order(
            len(task.train), recipe.batch_size, steps, task.seed, history.step, repeats=recipe.repeated_augment
        )
        for index in indices:
            schedule.step_update(history.step)
            loss = _step(task, state.trained, state.optimizer, index, history.step)
            history.flops += task.flops(history.step)
            history.step += 1
            if state.ema:
                state.ema.update(history.step)
            if history.step in evaluate_at:
                history.seconds += time.monotonic() - started
                latest = _record(task, state, loss)
                task.model.train()
                started = time.monotonic()
                reporter.note = f"minival {latest['minival_accuracy']:.2f} %  loss {latest['minival_loss']:.3f}"
            reporter.update(history.step)
            stop = distributed.agreed(caught[0] if caught else 0)
            if checkpoint and history.step < steps and (stop or time.monotonic() - saved > checkpoint.every):
                now = time.monotonic()
                history.seconds, started = history.seconds + now - started, now
                state.save(checkpoint)
                saved = time.monotonic()
            if stop and history.step < steps:
                distributed.wait()
                raise Stopped(128 + stop)
    history.seconds += time.monotonic() - started
    tensors, statistics = state.measured()
    return Trained(
        tensors={name: tensor.detach() for name, tensor in tensors.items()}, buffers=statistics, history=history
    )


def _step(task: Task, trained: Tensors, optimizer: torch.optim.Optimizer, index: Tensor, step: int) -> float:
    """One optimiser step on the images `index`, of which each process takes its part; returns the training loss.

    What is random is drawn for the whole batch, so it does not depend on the number of processes.
    """
    recipe = task.recipe
    device = task.train.labels.device
    seed_generators(derive(task.seed, "step", step))
    rows = distributed.rows(len(index), pairs=bool(recipe.mixup or recipe.cutmix))
    index = index[rows.here].to(device)
    images = task.train.pixels(index, recipe.augment, rows)
    images, labels = mixed(images, task.train.labels[index], recipe, task.train.num_classes)
    images, labels = images[rows.own], labels[rows.own]
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


def _record(task: Task, state: State, train_loss: float | None = None) -> dict[str, Any]:
    """Evaluate on minival and append to the history; outside the clock."""
    history = state.history
    tensors, statistics = state.measured()
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
