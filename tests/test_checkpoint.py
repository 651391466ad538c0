"""Stops, kills and damage: what a checkpoint and a weights file survive, and what time they cost."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from conftest import RECIPE, TINY
from regrow.errors import UserError
from regrow.models.vit import initial
from regrow.train import loop
from regrow.train.checkpoint import Checkpoint, load_tensors, save_tensors
from regrow.train.loop import Stopped, train
from regrow.train.state import State
from test_train import NOISY, same, task


@pytest.mark.parametrize("stop_at", [1, 5, 11])
def test_a_stopped_run_ends_with_the_same_bits(
    digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop_at: int
) -> None:
    unbroken = train(task(digits, NOISY))
    real, calls = loop._step, []

    def step_then_stop(*arguments: object) -> float:
        calls.append(1)
        value = real(*arguments)  # type: ignore[arg-type]
        if len(calls) == stop_at:
            os.kill(os.getpid(), signal.SIGTERM)
        return value

    monkeypatch.setattr(loop, "_step", step_then_stop)
    checkpoint = Checkpoint(tmp_path, "key")
    with pytest.raises(Stopped) as stopped:
        train(task(digits, NOISY), checkpoint)
    assert stopped.value.code == 128 + signal.SIGTERM
    resumed = train(task(digits, NOISY), checkpoint)
    assert len(calls) == 12, "a resumed run does no step twice"
    assert same(resumed.tensors, unbroken.tensors)
    assert resumed.history.metrics == unbroken.history.metrics
    assert resumed.history.resumes == 1
    assert len(resumed.history.clock) == len(resumed.history.metrics)
    assert resumed.history.clock == sorted(resumed.history.clock)


def test_a_killed_run_goes_on_from_its_last_checkpoint(
    digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unbroken = train(task(digits, NOISY))
    real, calls = loop._step, []

    def die_at_eight(*arguments: object) -> float:
        calls.append(1)
        if len(calls) == 8:
            raise KeyboardInterrupt
        return real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(loop, "_step", die_at_eight)
    checkpoint = Checkpoint(tmp_path, "key", every=0.0)
    with pytest.raises(KeyboardInterrupt):
        train(task(digits, NOISY), checkpoint)
    resumed = train(task(digits, NOISY), checkpoint)
    assert len(calls) == 8 + 5, "seven steps were saved"
    assert same(resumed.tensors, unbroken.tensors)
    assert resumed.history.metrics == unbroken.history.metrics


class Clock:
    """A second a step, a hundred an evaluation: what time costs is then known exactly."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, ends: dict[int, type[BaseException] | None]) -> None:
        """`ends`: calls of a step, counted from 1, at which a run is killed (an exception) or told to stop (None)."""
        self.now, self.steps, self.ends = 0.0, 0, ends
        self.step, self.evaluate = loop._step, loop.evaluate
        monkeypatch.setattr(loop, "time", SimpleNamespace(monotonic=lambda: self.now))
        monkeypatch.setattr(loop, "_step", self.one_step)
        monkeypatch.setattr(loop, "evaluate", self.one_evaluation)

    def one_step(self, *arguments: object) -> float:
        self.steps += 1
        self.now += 1
        if self.steps in self.ends:
            if death := self.ends[self.steps]:
                raise death
            os.kill(os.getpid(), signal.SIGTERM)
        return self.step(*arguments)  # type: ignore[arg-type]

    def one_evaluation(self, *arguments: object) -> object:
        self.now += 100
        return self.evaluate(*arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("ends", "resumes", "steps"),
    [
        ({5: None, 9: None}, 2, 12),  # told to stop: no step is done twice
        ({7: MemoryError}, 1, 12 + 3),  # killed in its 7th step, saved after the 4th: three are done again
        ({2: None, 7: MemoryError, 9: None}, 3, 12 + 3),
    ],
)
def test_the_ledger_counts_over_kills_and_resumes(
    digits: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    ends: dict[int, type[BaseException] | None],
    resumes: int,
    steps: int,
) -> None:
    """Steps, FLOPs, seconds and the clock at the evaluations are those of an unbroken run; lost work is not counted."""
    clock = Clock(monkeypatch, ends)
    checkpoint = Checkpoint(tmp_path, "key", every=2.5)
    for _ in range(resumes):
        with pytest.raises((Stopped, MemoryError)):
            train(task(digits), checkpoint)
    history = train(task(digits), checkpoint).history
    assert (history.step, history.flops, history.resumes, clock.steps) == (12, 12 * 7, resumes, steps)
    assert [line["flops"] for line in history.metrics] == [0, 4 * 7, 8 * 7, 12 * 7]
    assert history.clock == [0.0, 4.0, 8.0, 12.0]
    assert history.seconds == 12.0


@pytest.mark.parametrize(("takes", "saved"), [(0.0, [3, 6, 9]), (0.1, [3, 6, 9]), (0.2, [3, 8]), (1.0, [3])])
def test_a_checkpoint_that_is_long_to_write_is_written_less_often_and_off_the_clock(
    digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, takes: float, saved: list[int]
) -> None:
    """Every 2.5 s, but not before 20 times as long as the last one took has gone by."""
    clock, steps = Clock(monkeypatch, {}), []

    def save(state: State, checkpoint: Checkpoint) -> None:
        steps.append(state.history.step)
        clock.now += takes

    monkeypatch.setattr(State, "save", save)
    history = train(
        task(digits, RECIPE.model_copy(update={"evaluations": 1})), Checkpoint(tmp_path, "key", 2.5)
    ).history
    assert steps == saved
    assert history.seconds == pytest.approx(12.0)


def test_a_damaged_checkpoint_is_named_set_aside_and_not_used(
    digits: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint = Checkpoint(tmp_path, "key")
    checkpoint.save(initial(TINY, seed=9), {"step": 3})
    content = bytearray(checkpoint.path.read_bytes())
    content[-5] ^= 1
    checkpoint.path.write_bytes(content)
    assert same(train(task(digits), checkpoint).tensors, train(task(digits)).tensors)
    assert "corrupt" in capsys.readouterr().out
    assert list(tmp_path.glob("*.damaged"))


def test_another_config_never_resumes_this_ones_checkpoint(tmp_path: Path) -> None:
    assert Checkpoint(tmp_path, "a" * 20).path != Checkpoint(tmp_path, "b" * 20).path


@pytest.mark.parametrize("damage", ["flip", "cut", "text"])
def test_a_damaged_weights_file_is_refused(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "weights.safetensors"
    save_tensors(path, {"x": torch.arange(100.0)}, run="a/b")
    content = bytearray(path.read_bytes())
    if damage == "flip":
        content[-1] ^= 1
    path.write_bytes(b"hello" if damage == "text" else content[: -8 if damage == "cut" else None])
    with pytest.raises(UserError, match=r"weights.safetensors: (corrupt|not a whole)"):
        load_tensors(path)


def test_weights_survive_the_round_trip(tmp_path: Path) -> None:
    tensors_in = {"scalar": torch.tensor(2.5), "half": torch.randn(3, 2).bfloat16(), "double": torch.randn(2).double()}
    checksum = save_tensors(tmp_path / "w.safetensors", tensors_in, run="a/b")
    tensors_out, metadata = load_tensors(tmp_path / "w.safetensors")
    assert same(tensors_in, tensors_out)
    assert metadata == {"run": "a/b", "sha256": checksum}


def test_the_original_stays_when_a_write_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "w.safetensors"
    save_tensors(path, {"x": torch.ones(2)})
    before = path.read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UserError, match=r"cannot be written \(No space left on device\)"):
        save_tensors(path, {"x": torch.zeros(2)})
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["w.safetensors"]
    assert np.array_equal(load_tensors(path)[0]["x"].numpy(), np.ones(2))
