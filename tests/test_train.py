from __future__ import annotations

import os
import signal
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from conftest import RECIPE, TINY
from regrow.config import Augment, Recipe
from regrow.data import load
from regrow.errors import UserError
from regrow.models.axes import decays
from regrow.models.vit import Tensors, build, initial, unstack
from regrow.train import loop
from regrow.train.augment import augmented
from regrow.train.batches import ImageTensors, order, tensors
from regrow.train.checkpoint import Checkpoint, load_tensors, save_tensors
from regrow.train.evaluation import evaluate
from regrow.train.loop import Stopped, train
from regrow.train.seeds import derive, seed_generators
from regrow.train.state import State
from regrow.train.task import Task


def task(folder: Path, recipe: Recipe = RECIPE, **changes: object) -> Task:
    packed = load(folder)
    device = torch.device("cpu")
    values = {
        "label": "test",
        "model": build(TINY, drop_path=recipe.drop_path),
        "trained": initial(TINY, seed=0),
        "weights": lambda trained: trained,
        "decays": decays,
        "train": tensors(packed, "train", device, in_chans=3),
        "minival": tensors(packed, "minival", device, in_chans=3),
        "recipe": recipe,
        "seed": 0,
        "flops_per_step": 7,
    }
    return Task(**{**values, **changes})  # type: ignore[arg-type]


def same(first: Tensors, second: Tensors) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


MEAN = torch.full((3, 1, 1), 0.5)
NOISY = RECIPE.model_copy(update={"drop_path": 0.2, "augment": Augment(crop_pad=1, flip=True), "grad_clip": 1.0})


def test_training_lowers_the_loss_and_counts_its_work(digits: Path) -> None:
    longer = RECIPE.model_copy(update={"duration": "120 steps"})
    history = train(task(digits, longer)).history
    first, last = history.metrics[0], history.metrics[-1]
    assert first["step"] == 0
    assert (last["step"], last["examples"], last["flops"]) == (120, 120 * 16, 120 * 7)
    assert last["minival_accuracy"] > 40 > first["minival_accuracy"]


def test_one_step_is_adamw_on_the_stacked_weights(digits: Path) -> None:
    """Golden step: the same step by hand, on a plain timm model with torch's own optimiser."""
    recipe = Recipe(duration="1 steps", batch_size=16, lr=1e-2, weight_decay=0.1, label_smoothing=0.1, evaluations=1)
    one = task(digits, recipe)
    result = unstack(train(one).tensors)
    model = build(TINY)
    model.load_state_dict(unstack(initial(TINY, seed=0)))
    parameters = dict(model.named_parameters())
    decayed = {name: name.endswith(".weight") and "norm" not in name for name in parameters}
    groups = [
        {"params": [p for name, p in parameters.items() if decayed[name]], "weight_decay": 0.1},
        {"params": [p for name, p in parameters.items() if not decayed[name]], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=1e-2)
    index = next(order(len(one.train), 16, 1, seed=0))
    loss = cross_entropy(model(one.train.pixels(index)), one.train.labels[index], label_smoothing=0.1)
    loss.backward()
    optimizer.step()
    for name, parameter in parameters.items():
        torch.testing.assert_close(result[name], parameter.detach(), rtol=1e-4, atol=1e-5)


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


def test_a_step_draws_what_torchs_own_seed_draws() -> None:
    torch.manual_seed(5)
    expected = torch.randn(3)
    seed_generators(5)
    assert torch.equal(torch.randn(3), expected)


def test_weights_that_a_map_makes_are_float32_in_bfloat16_training(digits: Path) -> None:
    """Else autocast rounds them, and on a CPU a layer norm refuses them."""
    seen = []

    def mapped(trained: Tensors) -> Tensors:
        made = {name: (tensor.flatten(1).T @ torch.eye(len(tensor))).T for name, tensor in trained.items()}
        seen.extend(tensor.dtype for tensor in made.values())
        return {name: tensor.reshape(trained[name].shape) for name, tensor in made.items()}

    wide = {name: tensor for name, tensor in initial(TINY, seed=0).items() if tensor.ndim > 1}
    rest = {name: tensor for name, tensor in initial(TINY, seed=0).items() if tensor.ndim == 1}
    recipe = RECIPE.model_copy(update={"precision": "bfloat16", "duration": "2 steps", "evaluations": 1})
    train(task(digits, recipe, trained=wide, weights=lambda trained: {**mapped(trained), **rest}))
    assert set(seen) == {torch.float32}


def test_learning_rate_warms_up_and_ends_at_the_minimum(digits: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    real = torch.optim.AdamW.step

    def spy(self: torch.optim.AdamW, *arguments: object) -> object:
        seen.append(self.param_groups[0]["lr"])
        return real(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(torch.optim.AdamW, "step", spy)
    recipe = Recipe(duration="20 steps", batch_size=8, lr=1e-2, min_lr=1e-4, warmup=0.25, evaluations=1)
    train(task(digits, recipe))
    assert len(seen) == 20
    assert seen[0] == pytest.approx(1e-2 / 5)
    assert max(seen) == pytest.approx(1e-2, rel=0.2)
    assert seen[:5] == sorted(seen[:5])
    assert seen[-1] == pytest.approx(1e-4, abs=2e-4)


def test_evaluate_is_the_plain_mean(digits: Path) -> None:
    one = task(digits)
    loss, accuracy, predicted = evaluate(one.model, one.trained, one.minival)
    model = build(TINY).eval()
    model.load_state_dict(unstack(one.trained))
    with torch.no_grad():
        logits = model(one.minival.pixels(slice(None)))
    assert loss == pytest.approx(cross_entropy(logits, one.minival.labels).item(), rel=1e-5)
    assert accuracy == pytest.approx(100 * (logits.argmax(1) == one.minival.labels).float().mean().item())
    assert torch.equal(predicted, logits.argmax(1))


def test_an_epoch_visits_every_image_once_and_batches_run_across_its_end() -> None:
    indices = torch.cat(list(order(size=10, batch_size=4, steps=5, seed=0)))
    assert sorted(indices[:10].tolist()) == sorted(indices[10:].tolist()) == list(range(10))
    assert not torch.equal(indices[:10], indices[10:])


def test_the_order_does_not_depend_on_where_it_starts() -> None:
    whole = list(order(size=10, batch_size=4, steps=9, seed=1))
    late = list(order(size=10, batch_size=4, steps=9, seed=1, start=6))
    assert all(torch.equal(a, b) for a, b in zip(whole[6:], late, strict=True))


def test_streams_are_separate() -> None:
    drawn = {
        derive(seed, stream, index) for seed in range(3) for stream in ("init", "order", "step") for index in range(3)
    }
    assert len(drawn) == 27


def test_augmentation_moves_images_but_keeps_their_pixels() -> None:
    images = torch.arange(2 * 3 * 4 * 4).float().reshape(2, 3, 4, 4) / 96
    assert torch.equal(augmented(images, Augment(), MEAN), images)
    torch.manual_seed(0)
    many = images.repeat(8, 1, 1, 1)
    flipped = [
        (torch.equal(new, old), torch.equal(new, old.flip(2)))
        for new, old in zip(augmented(many, Augment(flip=True), MEAN), many, strict=True)
    ]
    assert set(flipped) == {(True, False), (False, True)}, "each image is flipped or not, and both happen"
    cropped = augmented(images, Augment(crop_pad=1), MEAN)
    windows = torch.nn.functional.pad(images, (1, 1, 1, 1), mode="replicate").unfold(2, 4, 1).unfold(3, 4, 1)
    for image, candidates in zip(cropped, windows, strict=True):
        assert any(torch.equal(image, candidates[:, i, j]) for i in range(3) for j in range(3))
    torch.manual_seed(0)
    inverted = augmented(images.repeat(8, 1, 1, 1), Augment(invert=True), MEAN)
    torch.testing.assert_close((inverted - 0.5).abs(), (images.repeat(8, 1, 1, 1) - 0.5).abs())


def test_pixels_are_normalised_by_the_train_split(digits: Path) -> None:
    packed = load(digits)
    train_split = tensors(packed, "train", torch.device("cpu"), in_chans=3)
    pixels = train_split.pixels(slice(None))
    assert pixels.shape[1:] == (3, 8, 8)
    assert pixels.mean().item() == pytest.approx(0, abs=1e-4)
    assert pixels.std().item() == pytest.approx(1, abs=1e-3)
    assert isinstance(train_split, ImageTensors)


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
