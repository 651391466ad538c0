"""The FLOPs of a run's ledger against torch's own count of every step that the run takes."""

from __future__ import annotations

from pathlib import Path

import pytest
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from conftest import RECIPE, TINY, train_config
from regrow.config import (
    DataRef,
    Distill,
    Fit,
    GrowConfig,
    LearngeneConfig,
    OperatorConfig,
    Recipe,
    SubModels,
    TeacherConfig,
    TimmModel,
)
from regrow.records import read_json
from regrow.train import loop
from test_stages import run

DATA = DataRef(name="digits", img_size=8, minival=200, seed=0)
SMALL = TINY.model_copy(update={"embed_dim": 48, "depth": 4, "num_heads": 4})
LARGE = TINY.model_copy(update={"embed_dim": 96, "depth": 4, "num_heads": 8})
AVERAGING = LARGE.model_copy(update={"class_token": False})
"""Wide enough that what torch counts less, the gradient of the images, is under 1 %."""
TEACHER = TimmModel(name="test_resnet", num_classes=10)
SHORT = RECIPE.model_copy(update={"duration": "3 steps", "evaluations": 1})


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """What torch counts in each step: the map, the model, the teacher and the backward pass."""
    found: list[int] = []
    real = loop._step

    def counting(*arguments: object) -> float:
        with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
            loss = real(*arguments)  # type: ignore[arg-type]
        found.append(counter.get_total_flops())
        return loss

    monkeypatch.setattr(loop, "_step", counting)
    return found


def ledger(folder: Path) -> int:
    summary = read_json(folder / "summary.json")
    return sum(summary.get(name, 0) for name in ("flops", "selection_flops", "teacher_flops"))


@pytest.mark.parametrize("model", [LARGE, AVERAGING])
def test_plain_training(digits: Path, tmp_path: Path, counted: list[int], model: object) -> None:
    assert run(train_config(model=model, recipe=SHORT), digits, tmp_path) == 0
    assert len(counted) == 3
    assert ledger(tmp_path) == pytest.approx(sum(counted), rel=0.01)


def test_a_first_stage_of_sub_models(digits: Path, tmp_path: Path, counted: list[int]) -> None:
    halves = Recipe.model_validate(
        SHORT.model_dump() | {"duration": "6 steps", "sub_models": SubModels(share=0.5, layers=2)}
    )
    assert run(train_config(model=LARGE.model_copy(update={"num_classes": 1000}), recipe=halves), digits, tmp_path) == 0
    assert len(set(counted)) > 1
    assert ledger(tmp_path) == pytest.approx(sum(counted), rel=0.01)


@pytest.mark.parametrize("name", ["mango", "ligo"])
def test_a_fit_with_every_rate_that_was_tried(digits: Path, tmp_path: Path, counted: list[int], name: str) -> None:
    assert run(train_config(model=SMALL, recipe=SHORT), digits, tmp_path / "source") == 0
    counted.clear()
    config = GrowConfig(
        run="x_s0",
        seed=0,
        data=DATA,
        operator=OperatorConfig(name=name),
        source=SMALL,
        target=LARGE,
        init="pretrain/tiny_s0",
        fit=Fit(recipe=SHORT, lr_candidates=(1e-4, 1e-3)),
    )
    assert run(config, digits, tmp_path / "grow", tmp_path / "source/weights.safetensors") == 0
    assert len(counted) == 2 * 3
    assert ledger(tmp_path / "grow") == pytest.approx(sum(counted), rel=0.01)


def test_distillation_with_the_teachers_forward_passes(digits: Path, tmp_path: Path, counted: list[int]) -> None:
    teacher = TeacherConfig(run="resnet_s0", seed=0, data=DATA, model=TEACHER, recipe=SHORT)
    assert run(teacher, digits, tmp_path / "teacher") == 0
    assert ledger(tmp_path / "teacher") == pytest.approx(sum(counted), rel=0.05), (
        "its first convolution is a large part"
    )
    counted.clear()
    config = LearngeneConfig(
        run="tleg_s0",
        seed=0,
        data=DATA,
        kind="tleg",
        model=AVERAGING,
        recipe=SHORT.model_copy(update={"batch_size": 64}),
        distill=Distill(),
        teacher=TEACHER,
        init="teacher/resnet_s0",
    )
    assert run(config, digits, tmp_path / "gene", tmp_path / "teacher/weights.safetensors") == 0
    assert read_json(tmp_path / "gene/summary.json")["teacher_flops"] > 0.01 * sum(counted), "it would be missed"
    assert ledger(tmp_path / "gene") == pytest.approx(sum(counted), rel=0.01)
