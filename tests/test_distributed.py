"""One run in several processes: the result of one process, whatever is trained."""

from __future__ import annotations

from copy import deepcopy
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from conftest import RECIPE, TINY
from processes import together
from regrow.config import Augment, Fit, OperatorConfig, Recipe, SubModels
from regrow.errors import UserError
from regrow.growth.registry import operator
from regrow.models.flops import train_flops
from regrow.models.timm_model import build_timm
from regrow.models.vit import Tensors, initial
from regrow.plan.fact import spent
from regrow.records import read_json, write_json
from regrow.stages import learngene, teacher
from regrow.stages.outcome import Place
from regrow.train import distributed, evaluation
from regrow.train.checkpoint import load_tensors
from regrow.train.evaluation import evaluate
from regrow.train.fit import fit_operator
from regrow.train.loop import train
from regrow.train.state import buffers
from regrow.train.sub_models import first_stage
from regrow.train.task import Task
from regrow.train.whole_batch import see_whole_batches
from test_stages_learngene import RESNET, learngene_config, teacher_config
from test_train import task
from test_train_recipe import DEIT

NOISY = RECIPE.model_copy(
    update={
        "drop_path": 0.5,
        "augment": Augment(crop_pad=1, flip=True, invert=True),
        "grad_clip": 0.1,
        "label_smoothing": 0.1,
    }
)
DEITS = Recipe.model_validate({**DEIT, "ema": 0.8, "precision": "float32"})
THIRDS = DEITS.model_copy(update={"batch_size": 12})
DEPTHS = NOISY.model_copy(update={"sub_models": SubModels(share=0.5, layers=1)})


def trained(one: Task) -> dict[str, Any]:
    done = train(one)
    return {"tensors": {**done.tensors, **buffers(one.model)}, "metrics": done.history.metrics}


def assert_close(first: Tensors, second: Tensors) -> None:
    """As close as float32 is after a dozen steps, each of which moves a weight by about 3e-3."""
    assert first.keys() == second.keys()
    for name in first:
        torch.testing.assert_close(first[name], second[name], rtol=1e-4, atol=3e-5, msg=partial("{}: {}".format, name))


def assert_same_metrics(first: dict[str, Any], second: dict[str, Any]) -> None:
    for ours, theirs in zip(first["metrics"], second["metrics"], strict=True):
        assert ours.keys() == theirs.keys()
        assert [v for v in ours.values() if v is not None] == pytest.approx(
            [v for v in theirs.values() if v is not None], rel=2e-5
        )


@pytest.mark.parametrize(("recipe", "processes"), [(NOISY, 2), (NOISY, 4), (DEPTHS, 2), (DEITS, 4), (THIRDS, 3)])
def test_processes_train_what_one_trains(digits: Path, recipe: Recipe, processes: int) -> None:
    """With all that is drawn for the whole batch: augmentation, mixed pairs, drop path, sub-models' depths."""

    def work() -> dict[str, Any]:
        one = task(digits, recipe)
        return trained(task(digits, recipe, first_stage=first_stage(TINY, recipe, len(one.train), 0)))

    alone, (first, *others) = work(), together(work, processes)
    assert_close(first["tensors"], alone["tensors"])
    assert_same_metrics(first, alone)
    for other in others:
        assert first["metrics"] == other["metrics"]
        assert all(torch.equal(tensor, other["tensors"][name]) for name, tensor in first["tensors"].items())


def test_a_process_prepares_its_part_and_the_others_of_its_pairs() -> None:
    def work() -> list[Any]:
        plain, pairs = distributed.rows(12, pairs=False), distributed.rows(12, pairs=True)
        return [torch.arange(12)[plain.here].tolist(), pairs.here.tolist(), pairs.here[pairs.own].tolist()]

    first, second, third, fourth = ([3 * number + i for i in range(3)] for number in range(4))
    assert together(work, 4) == [
        [first, first + fourth, first],
        [second, second + third, second],
        [third, second + third, third],
        [fourth, first + fourth, fourth],
    ]


def test_a_process_computes_its_part_alone(digits: Path) -> None:
    def work() -> list[int]:
        one, seen = task(digits, RECIPE), []
        one.model.register_forward_pre_hook(lambda module, images: seen.append((module.training, len(images[0]))))
        train(one)
        return [sum(images for training, images in seen if training is kind) for kind in (True, False)]

    assert together(work) == [[12 * 8, 4 * 200], [12 * 8, 0]], "200 images are one batch of an evaluation"


def test_a_teachers_batch_norm_sees_the_whole_batch(digits: Path) -> None:
    """Its running statistics and the curve. AdamW's first step follows a gradient's sign, be it rounding."""
    recipe = RECIPE.model_copy(update={"lr": 1e-4})

    def work() -> dict[str, Any]:
        model = build_timm(RESNET, seed=1)
        weights = {name: tensor.detach() for name, tensor in model.named_parameters()}
        return trained(task(digits, recipe, model=model, trained=weights))

    alone, (first, second) = work(), together(work)
    assert_same_metrics(first, alone)
    assert int(first["tensors"]["bn1.num_batches_tracked"]) == 12
    for name, tensor in first["tensors"].items():
        assert torch.equal(tensor, second["tensors"][name])
        if "running" in name:
            torch.testing.assert_close(tensor, alone["tensors"][name], rtol=0, atol=1e-2)


@pytest.mark.parametrize("shape", [(6, 3, 4, 4), (6, 3)])
def test_batch_norms_gradients_are_torchs(shape: tuple[int, ...]) -> None:
    """In float64, to rounding: outputs, running statistics and the gradients of images and parameters."""
    kind, between = (
        (nn.BatchNorm2d, nn.Conv2d(3, 3, 3, padding=1)) if len(shape) == 4 else (nn.BatchNorm1d, nn.Linear(3, 3))
    )
    generator = torch.Generator().manual_seed(0)
    images, target = (torch.randn(shape, generator=generator, dtype=torch.float64) + 2 for _ in range(2))

    def work() -> Tensors:
        model = nn.Sequential(kind(3), deepcopy(between), kind(3)).double()
        for parameter in model.parameters():
            nn.init.uniform_(parameter, 0.5, 2, generator=torch.Generator().manual_seed(1))
        see_whole_batches(model)
        part = distributed.part(6)
        seen = images.clone().requires_grad_()
        out = model(seen[part])
        (out - target[part]).pow(3).mean().backward()
        gradients = {name: parameter.grad for name, parameter in model.named_parameters()}
        distributed.average(gradients.values())
        whole, moved = torch.zeros_like(images), seen.grad
        whole[part] = out.detach()
        distributed.add(whole)
        distributed.add(moved)
        return {"out": whole, "images": moved / distributed.size(), **gradients, **buffers(model)}

    alone, (first, _) = work(), together(work)
    for name in alone:
        torch.testing.assert_close(first[name], alone[name], rtol=1e-10, atol=1e-12)


def test_another_batch_norm_is_refused() -> None:
    def work() -> str:
        with pytest.raises(UserError, match=r"^1: the statistics of a BatchNorm3d are not shared by processes") as told:
            see_whole_batches(nn.Sequential(nn.BatchNorm2d(3), nn.BatchNorm3d(3)))
        return str(told.value)

    assert all("one process" in told for told in together(work))


@pytest.mark.parametrize("name", ["mango", "ligo"])
def test_an_operators_cores_are_fitted_alike_and_every_process_pays_for_its_map(digits: Path, name: str) -> None:
    """The trained tensors are no module's parameters."""
    small, images = TINY.model_copy(update={"embed_dim": 8, "num_heads": 1}), task(digits)

    def work() -> dict[str, Any]:
        done = fit_operator(
            operator(OperatorConfig(name=name)),
            Fit(recipe=RECIPE, lr_candidates=(1e-3, 1e-2)),
            initial(small, seed=0),
            small,
            TINY,
            model=images.model,
            images=images.train,
            minival=images.minival,
            seed=0,
            label="fit",
        )
        return {"weights": done.weights, **done.summary}

    alone, (first, second) = work(), together(work)
    assert_close(first["weights"], alone["weights"])
    assert first["lr"] == second["lr"] == alone["lr"]
    plain = 12 * 16 * train_flops(TINY)
    assert first["flops"] - plain == 2 * (alone["flops"] - plain) > 0


def test_a_learngene_is_distilled_alike_and_the_first_process_alone_writes(digits: Path, tmp_path: Path) -> None:
    def place(name: str, init: Path | None = None) -> Place:
        folder = tmp_path / f"{name}-{distributed.rank()}"
        return Place(data=digits, weights=folder / "w.safetensors", records=folder, work=folder / "work", init=init)

    teacher.run(teacher_config(), place("teacher"))
    taught = tmp_path / "teacher-0/w.safetensors"
    learngene.run(learngene_config(recipe=NOISY), place("one", taught))
    together(lambda: learngene.run(learngene_config(recipe=NOISY), place("two", taught)))
    assert not (tmp_path / "two-1").exists()
    one, two = tmp_path / "one-0", tmp_path / "two-0"
    assert_close(load_tensors(two / "w.safetensors")[0], load_tensors(one / "w.safetensors")[0])
    ours, theirs = read_json(two / "summary.json"), read_json(one / "summary.json")
    assert ours["test_loss"] == pytest.approx(theirs["test_loss"], rel=1e-5)
    assert ours["teacher_flops"] == theirs["teacher_flops"]
    assert read_json(one / "provenance.json")["processes"] == 1
    made = read_json(two / "provenance.json")
    assert made["processes"] == 2
    assert spent(two).seconds == pytest.approx(2 * made["seconds"]), "device seconds"
    del made["processes"]
    write_json(two / "provenance.json", made)
    assert spent(two).seconds == pytest.approx(made["seconds"]), "a record of an older version is of one process"


def test_an_evaluation_shared_by_processes_has_the_bits_of_one(digits: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluation, "EVAL_BATCH", 30)  # 200 images: the last batch is short
    one = task(digits)
    loss, accuracy, predicted = evaluate(one.model, one.trained, one.minival)

    def work() -> list[Any]:
        return list(evaluate(one.model, one.trained, one.minival))

    for shared_loss, shared_accuracy, shared in together(work, 3):
        assert (shared_loss, shared_accuracy) == (loss, accuracy)
        assert torch.equal(shared, predicted)


def test_a_batch_without_equal_parts_is_refused(digits: Path) -> None:
    def work() -> str:
        with pytest.raises(UserError) as told:
            train(task(digits))
        return str(told.value)

    assert set(together(work, 3)) == {
        "batch_size: 16 images have no 3 equal parts; give a multiple, or other processes"
    }
