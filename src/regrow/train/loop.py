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
from regrow.train.distributed import Rows
from regrow.train.evaluation import evaluate
from regrow.train.losses import Diverged, Losses
from regrow.train.progress import Reporter
from regrow.train.seeds import derive, seed_generators
from regrow.train.state import History, State
from regrow.train.task import Task
from regrow.train.whole_batch import see_whole_batches

SPARED = 20
"""A checkpoint waits so many times as long as the last one took to write, so that they take 5 % of a run at most."""


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
        Diverged: the loss, in training or on minival, is not finite; nothing of that step is kept.
        UserError: processes that cannot share the batch alike, or do not see the same checkpoint.
        Stopped: SIGTERM or SIGINT; the state is saved first.
    """
    recipe = task.recipe
    steps = recipe.steps(len(task.train))
    for model in task.models:
        see_whole_batches(model)
    rows = distributed.rows(recipe.batch_size, pairs=bool(recipe.mixup or recipe.cutmix))
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
    losses = Losses(task.label)
    saved = started = time.monotonic()
    wait = checkpoint.every if checkpoint else 0.0
    with Reporter(task.label, steps, history.step) as reporter, _signals() as caught:
        whole = order(
            len(task.train), recipe.batch_size, steps, task.seed, history.step, repeats=recipe.repeated_augment
        )
        for index in task.train.read_ahead(index[rows.here] for index in whole):
            schedule.step_update(history.step)
            losses.add(history.step, _step(task, state.trained, state.optimizer, index, rows, history.step))
            history.flops += task.flops(history.step)
            history.step += 1
            if state.ema:
                state.ema.update(history.step)
            if history.step in evaluate_at:
                loss = losses.last()
                history.seconds += time.monotonic() - started
                latest = _record(task, state, loss)
                task.model.train()
                started = time.monotonic()
                reporter.note = f"minival {latest['minival_accuracy']:.2f} %  loss {latest['minival_loss']:.3f}"
            reporter.update(history.step)
            stop = distributed.agreed(caught[0] if caught else 0)
            if checkpoint and history.step < steps and (stop or time.monotonic() - saved > wait):
                losses.last()
                paused = time.monotonic()
                history.seconds += paused - started
                state.save(checkpoint)
                saved = started = time.monotonic()
                wait = checkpoint.every and max(checkpoint.every, SPARED * (saved - paused))
            if stop and history.step < steps:
                distributed.wait()
                raise Stopped(128 + stop)
    history.seconds += time.monotonic() - started
    tensors, statistics = state.measured()
    return Trained(
        tensors={name: tensor.detach() for name, tensor in tensors.items()}, buffers=statistics, history=history
    )


def _step(
    task: Task, trained: Tensors, optimizer: torch.optim.Optimizer, index: Tensor, rows: Rows, step: int
) -> Tensor:
    """One optimiser step on the images `index`, at `rows` of the batch; returns its mean loss, which nothing waits for.

    What is random is drawn for the whole batch, so it does not depend on the number of processes. Where the loss is not
    finite no step is taken: torch's fused AdamW asks `found_inf` on the device.
    """
    recipe = task.recipe
    device = task.train.labels.device
    seed_generators(derive(task.seed, "step", step))
    images = task.train.pixels(index, recipe.augment, rows)
    images, labels = mixed(images, task.train.classes(index), recipe, task.train.num_classes)
    images, labels = images[rows.own], labels[rows.own]
    # In float32: weights that a map makes are no less exact than weights that are trained.
    model, state = task.model, unstack(task.weights(trained))
    if task.first_stage and task.first_stage.covers(step):
        model, state = task.first_stage.cut(state, step)
    with torch.autocast(device.type, dtype=torch.bfloat16, enabled=recipe.precision == "bfloat16"):
        logits = task.forward(model, state, images).float()
        if task.loss:
            loss = task.loss(logits, images, labels)
        else:
            loss = cross_entropy(logits, labels, label_smoothing=recipe.label_smoothing)
    mean = loss.detach()
    distributed.average([mean])
    optimizer.zero_grad()
    loss.backward()
    distributed.average(tensor.grad for tensor in trained.values() if tensor.grad is not None)
    if recipe.grad_clip is not None:
        nn.utils.clip_grad_norm_(list(trained.values()), recipe.grad_clip)
    optimizer.found_inf = mean.isfinite().logical_not().float()  # type: ignore[attr-defined]
    optimizer.step()
    return mean


def _record(task: Task, state: State, train_loss: float | None = None) -> dict[str, Any]:
    """Evaluate on minival and append to the history; outside the clock."""
    history = state.history
    tensors, statistics = state.measured()
    with torch.no_grad():
        weights = {**task.weights(tensors), **statistics}
    loss, accuracy, _ = evaluate(task.model, weights, task.minival, task.recipe.precision)
    if not math.isfinite(loss):
        raise Diverged(f"{task.label}: the minival loss is {loss} after step {history.step}. Lower lr", history.step)
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
