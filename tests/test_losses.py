"""When a loss is read, and what one that is not finite leaves behind."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch.nn.functional import cross_entropy

from conftest import RECIPE
from regrow.errors import UserError
from regrow.train import loop
from regrow.train.checkpoint import Checkpoint, load_tensors
from regrow.train.loop import train
from regrow.train.losses import Diverged
from regrow.train.task import Task
from test_train import task


def test_a_loss_that_is_not_finite_stops_before_the_step(
    digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is noticed when the next step has begun: neither of them changed a weight, and no checkpoint has it."""
    states, calls = [], []

    class Kept(loop.State):
        def __init__(self, task: Task) -> None:
            super().__init__(task)
            states.append(self)

    def broken_from_five(logits: torch.Tensor, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        calls.append([tensor.detach().clone() for tensor in states[0].trained.values()])
        return cross_entropy(logits, labels) / (len(calls) <= 5)

    monkeypatch.setattr(loop, "State", Kept)
    with pytest.raises(UserError, match="the loss is inf at step 5; no step was taken"):
        train(task(digits, loss=broken_from_five), Checkpoint(tmp_path, "key", every=0))
    found = list(states[0].trained.values())
    assert not torch.equal(calls[4][0], calls[5][0])
    assert all(torch.equal(before, after) for before, after in zip(calls[5], found, strict=True))
    saved, metadata = load_tensors(Checkpoint(tmp_path, "key").path)
    assert json.loads(metadata["state"])["step"] == 5
    assert all(torch.equal(before, saved[name]) for before, name in zip(calls[5], states[0].trained, strict=True))


def test_a_minival_loss_that_is_not_finite_ends_the_run(digits: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "evaluate", lambda *_: (float("nan"), 0.0, None))
    with pytest.raises(Diverged, match="the minival loss is nan after step 0"):
        train(task(digits))


def test_a_loss_is_read_when_the_next_step_has_begun(digits: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    events = []
    real = loop._step

    def begun(*arguments: object) -> torch.Tensor:
        events.append("begun")
        return real(*arguments)  # type: ignore[arg-type]

    def read(self: object) -> float:
        events.append("read")
        return 0.0

    monkeypatch.setattr(loop, "_step", begun)
    monkeypatch.setattr("regrow.train.losses._Loss.value", read)
    train(task(digits, RECIPE.model_copy(update={"duration": "3 steps", "evaluations": 1})))
    assert events == ["begun", "begun", "read", "begun", "read", "read"]
