from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch.nn.functional import cross_entropy

from conftest import RECIPE, TINY
from regrow.config import Augment, Recipe
from regrow.data import load
from regrow.models.axes import decays
from regrow.models.vit import Tensors, build, initial, unstack
from regrow.train.augment import augmented
from regrow.train.batches import ImageTensors, order, tensors
from regrow.train.evaluation import evaluate
from regrow.train.loop import train
from regrow.train.seeds import derive, seed_generators
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
