"""The stages `teacher` and `learngene`, run as the DAG runs them, on digits."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import save_file
from timm.data import IMAGENET_INCEPTION_MEAN, IMAGENET_INCEPTION_STD
from torch import nn
from torch.nn.functional import kl_div

from conftest import RECIPE, TINY
from regrow.cli import main
from regrow.config import DataRef, Distill, LearngeneConfig, TeacherConfig, TimmModel, canonical
from regrow.data import load
from regrow.errors import UserError
from regrow.expand import expand
from regrow.growth.learngene import auxiliary_basis, auxiliary_maps
from regrow.models.flops import train_flops
from regrow.models.timm_model import build_timm, expect
from regrow.models.vit import stack, unstack
from regrow.stages.teacher import refuse_bfloat16
from regrow.train import loop
from regrow.train.batches import order, tensors
from regrow.train.checkpoint import load_tensors
from regrow.train.loop import Stopped
from regrow.train.seeds import derive

DATA = DataRef(name="digits", img_size=8, minival=200, seed=0)
RESNET = TimmModel(name="test_resnet", num_classes=10)
AUXILIARY = TINY.model_copy(update={"class_token": False, "depth": 3})


def teacher_config(**changes: Any) -> TeacherConfig:
    values = {"run": "resnet_s0", "seed": 0, "data": DATA, "model": RESNET, "recipe": RECIPE}
    return TeacherConfig.model_validate({**values, **changes})


def learngene_config(**changes: Any) -> LearngeneConfig:
    values = {"run": "tleg_s0", "seed": 0, "data": DATA, "kind": "tleg", "model": AUXILIARY, "recipe": RECIPE}
    values |= {"distill": Distill(), "teacher": RESNET, "init": "teacher/resnet_s0"}
    return LearngeneConfig.model_validate({**values, **changes})


def run(config: TeacherConfig | LearngeneConfig, digits: Path, out: Path, init: Path | None = None) -> int:
    out.mkdir(parents=True, exist_ok=True)
    (out / "config.json").write_text(canonical(config))
    options = ["--data", str(digits), "--weights", str(out / "weights.safetensors"), "--records", str(out)]
    return main(["run", str(out / "config.json"), *options, *(["--init", str(init)] if init else [])])


def summary(out: Path) -> dict[str, Any]:
    return dict(json.loads((out / "summary.json").read_text()))


@pytest.fixture(scope="module")
def taught(digits: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("teacher")
    assert run(teacher_config(recipe=RECIPE.model_copy(update={"duration": "40 steps"})), digits, out) == 0
    return out


def test_a_teacher_is_trained_with_its_running_statistics(taught: Path) -> None:
    state, _ = load_tensors(taught / "weights.safetensors")
    model = timm.create_model("test_resnet", num_classes=10)
    model.load_state_dict(state)
    assert summary(taught)["test_accuracy"] > 50
    assert int(state["bn1.num_batches_tracked"]) == 40
    assert summary(taught)["flops"] == 3 * 40 * 16 * summary(taught)["forward_flops_per_image"]


def test_a_stopped_teacher_ends_with_the_same_bits(
    digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its batch-norm statistics are no parameters; they must be in the checkpoint too."""
    assert run(teacher_config(), digits, tmp_path / "unbroken") == 0
    real, calls = loop._step, []

    def stop_at_five(*arguments: Any) -> float:
        calls.append(1)
        if len(calls) == 5:
            os.kill(os.getpid(), signal.SIGTERM)
        return real(*arguments)

    monkeypatch.setattr(loop, "_step", stop_at_five)
    with pytest.raises(Stopped):
        run(teacher_config(), digits, tmp_path / "resumed")
    assert run(teacher_config(), digits, tmp_path / "resumed") == 0
    unbroken, resumed = (summary(tmp_path / name)["weights_sha256"] for name in ("unbroken", "resumed"))
    assert unbroken == resumed


def test_bfloat16_is_refused_where_its_gradient_is_not_sure(
    digits: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """At 8 px test_resnet has strided convolutions of one pixel: not the same bits, and not finite with a clip."""
    recipe = RECIPE.model_copy(update={"precision": "bfloat16", "grad_clip": 1.0})
    assert run(teacher_config(recipe=recipe), digits, tmp_path) == 2
    assert "stride=(2, 2), padding=(1, 1), bias=False) sees 1 px, and in bfloat16" in capsys.readouterr().err
    refuse_bfloat16(build_timm(RESNET), torch.zeros(1, 3, 64, 64))


@pytest.mark.parametrize(
    ("kernel", "stride", "height", "width", "refused"),
    [
        (3, 2, 8, 1, True),
        (3, 4, 8, 3, True),
        (5, 1, 1, 8, True),
        (7, 1, 2, 2, True),
        (1, 2, 1, 1, True),
        (1, 1, 1, 1, False),
        (3, 1, 1, 1, False),
        (3, 2, 2, 2, False),
        (7, 2, 3, 3, False),
        (8, 8, 8, 8, False),
    ],
)
def test_what_decides_it_is_the_size_of_the_input(
    kernel: int, stride: int, height: int, width: int, refused: bool
) -> None:
    layer, images = nn.Conv2d(3, 4, kernel, stride, kernel // 2), torch.zeros(1, 3, height, width)
    if refused:
        with pytest.raises(UserError, match="Conv2d"):
            refuse_bfloat16(layer, images)
    else:
        refuse_bfloat16(layer, images)


def test_a_pretrained_teacher_is_read_from_a_file_and_measured(digits: Path, tmp_path: Path) -> None:
    model = timm.create_model("test_resnet", num_classes=10)
    save_file(model.state_dict(), tmp_path / "resnet.safetensors")
    pretrained = RESNET.model_copy(update={"pretrained": str(tmp_path / "resnet.safetensors")})
    assert run(teacher_config(model=pretrained, recipe=None), digits, tmp_path / "out") == 0
    assert (summary(tmp_path / "out")["steps"], summary(tmp_path / "out")["flops"]) == (0, 0)
    state, _ = load_tensors(tmp_path / "out/weights.safetensors")
    torch.testing.assert_close(state, dict(model.state_dict()))


def test_no_file_of_pretrained_weights_is_named(tmp_path: Path) -> None:
    nowhere = RESNET.model_copy(update={"pretrained": str(tmp_path / "none.safetensors")})
    with pytest.raises(UserError, match=r"no weights of test_resnet from .*none.safetensors.* give the path of a file"):
        build_timm(nowhere)
    with pytest.raises(UserError, match="timm: no_such_model"):
        build_timm(TimmModel(name="no_such_model"))


def test_a_pretrained_teacher_sees_images_as_it_was_trained() -> None:
    config = RESNET.model_copy(update={"pretrained": "hub"})
    raw, mean, std = torch.rand(2, 3, 64, 64), torch.full((3, 1, 1), 0.3), torch.full((3, 1, 1), 0.2)
    own_mean, own_std = (
        torch.tensor(value).view(3, 1, 1) for value in (IMAGENET_INCEPTION_MEAN, IMAGENET_INCEPTION_STD)
    )
    plain = build_timm(RESNET).eval()
    wrapped = expect(build_timm(RESNET).eval(), config, mean, std)
    torch.testing.assert_close(wrapped((raw - mean) / std), plain((raw - own_mean) / own_std), rtol=1e-4, atol=1e-5)


def test_a_learngene_is_two_layers_that_are_trained_through_the_auxiliary_net(
    digits: Path, taught: Path, tmp_path: Path
) -> None:
    weights = taught / "weights.safetensors"
    assert run(learngene_config(), digits, tmp_path, init=weights) == 0
    learngene = stack(load_tensors(tmp_path / "weights.safetensors")[0])
    start = auxiliary_basis(AUXILIARY, "tleg", derive(0, "init"))
    assert learngene["blocks.mlp.fc1.weight"].shape[0] == 2
    for entry in (0, 1):
        moved = learngene["blocks.mlp.fc1.weight"][entry] - start["blocks.mlp.fc1.weight"][entry]
        assert moved.abs().max() > 1e-3
    found = summary(tmp_path)
    assert found["parameters"] == sum(tensor.numel() for tensor in start.values())
    assert found["teacher_flops"] == 12 * 16 * summary(taught)["forward_flops_per_image"]
    layer = sum(tensor[0].numel() for name, tensor in start.items() if name.startswith("blocks."))
    there_and_back = 2 * (2 * AUXILIARY.depth * 2 * layer)  # the maps are fixed: the way back goes to the basis alone
    assert found["flops"] == 12 * (16 * train_flops(AUXILIARY) + there_and_back)


@pytest.mark.parametrize(("alpha", "tau"), [(1.0, 1.0), (0.3, 2.0)])
def test_its_first_step_is_adamw_on_the_distillation_loss(
    digits: Path, taught: Path, tmp_path: Path, alpha: float, tau: float
) -> None:
    """Golden step: the same step by hand, with torch's own KL and timm's own teacher."""
    weights = taught / "weights.safetensors"
    recipe = RECIPE.model_copy(update={"duration": "1 steps", "warmup": 0.0, "evaluations": 1, "weight_decay": 0.0})
    config = learngene_config(recipe=recipe, distill=Distill(alpha=alpha, tau=tau))
    assert run(config, digits, tmp_path, init=weights) == 0
    teacher = timm.create_model("test_resnet", num_classes=10).eval()
    teacher.load_state_dict(load_tensors(weights)[0])
    basis = auxiliary_basis(AUXILIARY, "tleg", derive(0, "init"))
    basis = {name: tensor.requires_grad_() for name, tensor in basis.items()}
    images = tensors(load(digits), "train", torch.device("cpu"), in_chans=3)
    index = next(order(len(images), 16, 1, seed=0))
    from regrow.models.vit import build

    state = unstack(expand(basis, auxiliary_maps(AUXILIARY, "tleg", basis)))
    pixels, labels = images.pixels(index), images.labels[index]
    logits = torch.func.functional_call(build(AUXILIARY), state, (pixels,))
    with torch.no_grad():
        target = (teacher(pixels) / tau).softmax(1)
    distilled = kl_div((logits / tau).log_softmax(1), target, reduction="sum") * tau**2 / (16 * 10)
    loss = alpha * distilled + (1 - alpha) * torch.nn.functional.cross_entropy(logits, labels)
    optimizer = torch.optim.AdamW(list(basis.values()), lr=recipe.lr, weight_decay=0.0)
    loss.backward()
    optimizer.step()
    found = stack(load_tensors(tmp_path / "weights.safetensors")[0])
    for name, tensor in basis.items():
        grad = tensor.grad
        assert grad is not None
        sure = grad.abs() > 1e-6  # AdamW's first step is lr * sign(g): not defined where g is rounding alone
        torch.testing.assert_close(found[name][sure], tensor.detach()[sure], rtol=1e-3, atol=1e-4)


def test_a_learngene_without_its_teacher_says_what_to_give(
    digits: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(learngene_config(), digits, tmp_path) == 2
    assert "distils teacher/resnet_s0; give --init WEIGHTS" in capsys.readouterr().err


def test_pretrained_weights_of_other_classes_are_refused(tmp_path: Path) -> None:
    """timm would keep a random classifier, and a learngene would be distilled from noise."""
    save_file(timm.create_model("test_resnet", num_classes=7).state_dict(), tmp_path / "seven.safetensors")
    seven = RESNET.model_copy(update={"pretrained": str(tmp_path / "seven.safetensors")})
    with pytest.raises(UserError, match=r"fc.*shape"):
        build_timm(seven)
