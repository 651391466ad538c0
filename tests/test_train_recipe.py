"""Whole recipes: named ones, the moving average, and a run with every switch on."""

from __future__ import annotations

import os
import signal
from functools import partial
from pathlib import Path

import pytest
import torch
from timm.utils.model_ema import ModelEmaV3
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from conftest import RECIPE
from regrow.config import Augment, Recipe, TimmModel, canonical
from regrow.errors import UserError
from regrow.models.timm_model import build_timm
from regrow.models.vit import Tensors
from regrow.train import loop
from regrow.train.checkpoint import Checkpoint
from regrow.train.device import torch_device
from regrow.train.ema import Ema
from regrow.train.evaluation import evaluate
from regrow.train.loop import Stopped, Trained, train
from regrow.train.state import buffers
from regrow.train.task import Task
from test_train import task

DEIT = {"like": "deit", "duration": "12 steps", "batch_size": 16, "warmup": "3 steps", "evaluations": 3}


def teacher(folder: Path, recipe: Recipe) -> Task:
    """A convolutional net with batch norms: running statistics change beside the weights."""
    model = build_timm(TimmModel(name="test_resnet", num_classes=10))
    weights = {name: tensor.detach() for name, tensor in model.named_parameters()}
    return task(folder, recipe, model=model, trained=weights, decays=lambda name: weights[name].ndim > 1)


def same(first: Tensors, second: Tensors) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def test_a_named_recipe_gives_what_is_not_given() -> None:
    deit = Recipe.model_validate({"like": "deit"})
    assert (deit.batch_size, deit.lr, deit.mixup, deit.repeated_augment) == (1024, 1e-3, 0.8, 3)
    assert deit.warmup_steps(1024_000) == 5000
    own = Recipe.model_validate({"like": "deit", "lr": 2e-3, "mixup": 0, "augment": {"flip": False, "crop_pad": 2}})
    assert (own.lr, own.mixup, own.cutmix) == (2e-3, 0, 1.0)
    assert own.augment == deit.augment.model_copy(update={"flip": False, "crop_pad": 2})
    descendant = Recipe.model_validate({"like": "tleg-descendant"})
    assert (descendant.batch_size, descendant.warmup, descendant.cutmix) == (512, 0, 1.0)


def test_an_unknown_recipe_names_the_nearest() -> None:
    with pytest.raises(ValueError, match="like: no recipe 'diet'; did you mean 'deit'"):
        Recipe.model_validate({"like": "diet"})


def test_a_switch_that_is_off_is_not_in_a_configs_text() -> None:
    switches = {"mixup", "cutmix", "repeated_augment", "ema"}
    assert not switches & RECIPE.model_dump().keys()
    assert RECIPE.model_dump()["augment"] == {"crop_pad": 0, "flip": False, "invert": False}
    deit = Recipe.model_validate({"like": "deit", "ema": 0.999})
    assert switches <= deit.model_dump().keys()
    assert Recipe.model_validate_json(canonical(deit)) == deit


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"mixup": 0.8, "batch_size": 15}, "batch_size 15 must be even"),
        ({"warmup": "5"}, "is not like '3 epochs'"),
        ({"warmup": 1.5}, "less than 1"),
        ({"augment": {"resized_crop": (0.5, 0.2)}}, "0 < least <= most <= 1"),
    ],
)
def test_a_switch_with_a_wrong_value_is_refused(given: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Recipe.model_validate({"duration": "10 steps", "batch_size": 16, "lr": 1, **given})


def test_warm_up_is_a_share_or_a_duration() -> None:
    def steps(duration: str, warmup: float | str) -> int:
        return Recipe(duration=duration, batch_size=10, lr=1, warmup=warmup).warmup_steps(1000)

    assert steps("300 steps", 0.0167) == 6
    assert steps("3 epochs", "0.5 epochs") == 50
    with pytest.raises(UserError, match="warmup: '3 epochs' is not less than the duration '300 steps'"):
        steps("300 steps", "3 epochs")


def test_the_average_is_timms() -> None:
    module = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    state = module.state_dict()
    mine, theirs = Ema(state, 0.9), ModelEmaV3(module, decay=0.9)
    for step in range(1, 6):
        for tensor in state.values():
            tensor.copy_(torch.randint(9, tensor.shape) if tensor.dtype == torch.long else torch.randn(tensor.shape))
        mine.update(step)
        theirs.update(module, step=step)
        assert same(mine.tensors, dict(theirs.module.state_dict()))


def test_the_average_of_a_run_is_measured_and_returned(digits: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Closed form: d^(T-1) w_1 + (1 - d) sum of d^(T-t) w_t, of weights and running statistics."""
    recipe = Recipe(duration="6 steps", batch_size=16, lr=1e-2, ema=0.5, evaluations=1)
    one, seen, real = teacher(digits, recipe), [], loop._step

    def step(*arguments: object) -> float:
        value = real(*arguments)  # type: ignore[arg-type]
        weights: Tensors = arguments[1]  # type: ignore[assignment]
        seen.append({n: t.detach().clone() for n, t in {**weights, **buffers(one.model)}.items()})
        return value

    monkeypatch.setattr(loop, "_step", step)
    done = train(one)
    shares = [0.5**5, *(0.5 * 0.5 ** (6 - t) for t in range(2, 7))]
    found = {**done.tensors, **done.buffers}
    assert done.buffers.keys() == buffers(one.model).keys()
    for name, tensor in found.items():
        if not tensor.is_floating_point():
            assert torch.equal(tensor, seen[-1][name])
            continue
        expected: Tensor = sum(share * state[name] for share, state in zip(shares, seen, strict=True))  # type: ignore[assignment]
        torch.testing.assert_close(tensor, expected, rtol=1e-4, atol=1e-6)
    loss, accuracy, _ = evaluate(one.model, found, one.minival)
    assert (done.history.metrics[-1]["minival_loss"], done.history.metrics[-1]["minival_accuracy"]) == (loss, accuracy)
    assert loss != evaluate(one.model, seen[-1], one.minival)[0]


def test_every_switch_is_wired_into_the_step(digits: Path) -> None:
    def seen(**switches: object) -> tuple[Tensor, Tensor]:
        """The images and labels of the first step."""
        batches: list[tuple[Tensor, Tensor]] = []

        def loss(logits: Tensor, images: Tensor, labels: Tensor) -> Tensor:
            batches.append((images.clone(), labels))
            return cross_entropy(logits, labels)

        train(task(digits, RECIPE.model_copy(update={"duration": "1 steps", "evaluations": 1, **switches}), loss=loss))
        return batches[0]

    images, labels = seen()
    for augment in ({"erase": 1.0}, {"rand_augment": 9.0}, {"resized_crop": (0.1, 0.5)}):
        changed = (seen(augment=Augment.model_validate(augment))[0] != images).flatten(1).any(1)
        assert changed.float().mean() > 0.5
    repeated = seen(repeated_augment=4)[1].view(-1, 4)
    assert torch.equal(repeated, repeated[:, :1].expand(-1, 4))
    for alpha in ("mixup", "cutmix"):
        pixels, target = seen(**{alpha: 1.0})
        assert not torch.equal(pixels, images)
        assert ((target > 0) & (target < 1)).any()
        own = torch.nn.functional.one_hot(labels, 10)
        share = target.masked_select(own.bool() & ~own.flip(0).bool())
        torch.testing.assert_close(target, share[0] * own + (1 - share[0]) * own.flip(0))


@pytest.mark.parametrize("make", [task, teacher])
@pytest.mark.parametrize("stop_at", [1, 7])
def test_a_stopped_run_with_every_switch_on_ends_with_the_same_bits(
    digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: object, stop_at: int
) -> None:
    recipe = Recipe.model_validate({**DEIT, "ema": 0.8, "augment": {"crop_pad": 1, "invert": True}, "grad_clip": 1.0})
    switched = {"mixup", "cutmix", "repeated_augment", "ema"} | Augment.model_fields.keys()
    assert all(getattr(recipe, name, None) or getattr(recipe.augment, name, None) for name in switched)
    if make is teacher:
        recipe = recipe.model_copy(update={"precision": "float32"})
    run = make(digits, recipe)  # type: ignore[operator]
    unbroken = train(run)
    real, calls = loop._step, []

    def step_then_stop(*arguments: object) -> float:
        calls.append(1)
        value = real(*arguments)  # type: ignore[arg-type]
        if len(calls) == stop_at:
            os.kill(os.getpid(), signal.SIGTERM)
        return value

    monkeypatch.setattr(loop, "_step", step_then_stop)
    checkpoint = Checkpoint(tmp_path, "key")

    def again() -> Trained:
        return train(make(digits, recipe), checkpoint)  # type: ignore[operator]

    with pytest.raises(Stopped):
        again()
    torch.rand(3), torch.randint(9, (2,))  # whatever another process has drawn
    resumed = again()
    assert len(calls) == 12
    assert same(resumed.tensors, unbroken.tensors)
    assert same(resumed.buffers, unbroken.buffers)
    assert resumed.history.metrics == unbroken.history.metrics


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")
def test_a_fast_run_compiles_and_does_the_same_but_for_last_bits(digits: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    graphs: list[torch.fx.GraphModule] = []

    def backend(graph: torch.fx.GraphModule, inputs: list[Tensor]) -> object:
        graphs.append(graph)
        return graph.forward

    plain = train(task(digits, RECIPE)).tensors
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend=backend))
    fast = train(task(digits, RECIPE, fast=True)).tensors
    assert len(graphs) == 1, "the whole forward pass is one graph, compiled once"
    for name, tensor in plain.items():
        torch.testing.assert_close(fast[name], tensor, rtol=1e-3, atol=1e-5)


def test_a_device_is_deterministic_unless_it_is_to_be_fast() -> None:
    """Products and convolutions have a switch each for TF32; that of convolutions is on where nobody says otherwise."""

    def state() -> tuple[bool, str, bool]:
        algorithms = torch.are_deterministic_algorithms_enabled()
        return algorithms, torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32

    torch_device("cpu", fast=True)
    assert state() == (False, "high", True)
    torch_device("cpu")
    assert state() == (True, "highest", False)


def test_deits_whole_recipe_trains_on_a_cpu(digits: Path) -> None:
    given = {**DEIT, "duration": "200 steps", "lr": 3e-3, "batch_size": 128, "precision": "float32"}
    recipe = Recipe.model_validate(given)
    metrics = train(task(digits, recipe)).history.metrics
    assert metrics[-1]["minival_accuracy"] > 20 > metrics[0]["minival_accuracy"]
