from __future__ import annotations

import functools
import os
import pickle
import re
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import load_file, save_file
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor

from regrow.cli import main
from regrow.config import ModelConfig, OperatorConfig
from regrow.errors import UserError
from regrow.grow import fit_recipe, grow_checkpoint
from regrow.growth.describe import axis_maps
from regrow.growth.registry import operator as make_operator
from regrow.growth.registry import target_config
from regrow.models.named import named_config
from regrow.models.vit import build
from regrow.train.source import read_checkpoint, source_config

TINY, SMALL = "deit_tiny_patch16_224", "deit_small_patch16_224"
SIZES = {"img_size": 32, "num_classes": 10}


def saved(model: VisionTransformer, path: Path) -> Path:
    save_file(model.state_dict(), path)
    return path


def vit(embed_dim: int, depth: int) -> VisionTransformer:
    """Heads of 64, as DeiT has them; norms and head that are not at their start."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        heads = embed_dim // 64
        model = VisionTransformer(**SIZES, embed_dim=embed_dim, depth=depth, num_heads=heads)
        for name, parameter in model.named_parameters():
            if "norm" in name or "head" in name:
                torch.nn.init.normal_(parameter, std=0.1).data += float("norm" in name and "weight" in name)
    return model


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(vit(128, 2), tmp_path_factory.mktemp("source") / "narrow.safetensors")


def logits(model: VisionTransformer) -> Tensor:
    images = torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(7))
    with torch.inference_mode():
        logits: Tensor = model.eval()(images)
    return logits


def grown_by_command(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[VisionTransformer, str]:
    """The model that the command's own `load` line makes, and what was printed."""
    assert main(["grow", *map(str, arguments)]) == 0
    text = capsys.readouterr().out
    call = re.search(r"^load +(timm\.create_model\(.*\))$", text, re.MULTILINE)
    assert call
    return eval(call[1], {"timm": timm, "torch": torch, "functools": functools}), text


@pytest.mark.parametrize(
    ("operator", "options", "exact"),
    [
        ("lemon", ["noise=0"], True),  # 1.5 times the width: another norm_eps
        ("bert2bert-fpi", ['{"noise": 0.0, "copies": "circular"}'], False),
        ("mango", ["ranks=[1, 1, 1, 1]", "depth=interpolate"], False),
    ],
)
def test_timm_loads_what_was_grown_and_its_function_is_as_printed(
    source: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    operator: str,
    options: list[str],
    exact: bool,
) -> None:
    flags = [word for option in options for word in ("--options", option)]
    out = tmp_path / "out.safetensors"
    model, text = grown_by_command(
        capsys, "--operator", operator, "--source", source, "--target", TINY, "--out", out, *flags
    )
    before, after = logits(vit(128, 2)), logits(model)
    measured = float((after - before).abs().max() / before.abs().max())
    printed = re.search(r"random images: ([0-9.e+-]+)", text)
    assert printed
    assert (measured < 1e-5) == (float(printed[1]) < 1e-5) == exact
    assert 0.1 < (measured + 1e-5) / (float(printed[1]) + 1e-5) < 10
    assert ("NOT FITTED" in text) == (operator == "mango")
    assert ("norm_layer" in text) == (operator == "lemon")


def test_fpi_at_an_integer_ratio_is_the_sources_function_and_the_axes_are_told(tmp_path: Path) -> None:
    path = saved(vit(64, 12), tmp_path / "narrow.safetensors")
    grown = grow_checkpoint(path, TINY, "bert2bert-fpi", options={"noise": 0.0})
    model = timm.create_model(TINY, **SIZES)
    model.load_state_dict(grown.state_dict(), strict=True)
    before = logits(vit(64, 12))
    torch.testing.assert_close(logits(model), before, rtol=0, atol=1e-5 * float(before.abs().max()))
    maps = {axis.axis: (axis.old, axis.new, axis.how) for axis in grown.axes}
    assert maps["embed"] == (64, 192, "copied")
    assert maps["embed.in"] == (64, 192, "copied, scaled")
    assert maps["depth"] == (12, 12, "identity, stack")
    assert f"{sum(parameter.numel() for parameter in model.parameters()):,} parameters" in grown.summary()


@pytest.mark.parametrize(
    ("operator", "axis", "how"),
    [
        ("mango", "embed", "learned"),
        ("mango", "depth", "learned, starts as stack"),
        ("bert2bert-aki", "heads", "copied + copied, zero elsewhere"),
        ("lemon", "embed", "dense"),
        (
            "lemon",
            "depth",
            "copied, interpolate; apart: attn.proj.bias, attn.proj.weight, mlp.fc2.bias, mlp.fc2.weight",
        ),
    ],
)
def test_an_axis_is_told_by_its_matrix(operator: str, axis: str, how: str) -> None:
    small = ModelConfig(embed_dim=16, depth=2, num_heads=2, patch_size=4, img_size=8, num_classes=10)
    large = target_config(operator, small, small.model_copy(update={"embed_dim": 24, "num_heads": 3, "depth": 3}))
    rows = axis_maps(make_operator(OperatorConfig(name=operator)), small, large, seed=0)
    assert {row.axis: row.how for row in rows}[axis] == how


def test_an_axis_without_maps_of_its_own_says_so() -> None:
    small = ModelConfig(embed_dim=16, depth=3, num_heads=2, patch_size=4, img_size=8, num_classes=10)
    rows = axis_maps(make_operator(OperatorConfig(name="lemon")), small, small, seed=0)
    assert rows[-1].how == "identity, interpolate"


def test_deit_ti_becomes_deit_s(tmp_path: Path) -> None:
    path = saved(timm.create_model(TINY, **SIZES), tmp_path / "tiny.safetensors")
    grown = grow_checkpoint(path, SMALL, "bert2bert-fpi", options={"noise": 0.0})
    assert grown.target.num_heads == 6
    assert grown.difference is not None
    assert grown.difference < 1e-5


def test_what_lemon_grew_is_grown_again_with_its_own_eps(source: Path, tmp_path: Path) -> None:
    """Its norm_eps is told by no tensor and lies in the metadata."""
    first = grow_checkpoint(source, TINY, "lemon", options={"noise": 0})
    first.save(tmp_path / "tiny.safetensors")
    again = grow_checkpoint(tmp_path / "tiny.safetensors", TINY, "stackbert")
    assert first.target.norm_eps == pytest.approx(1e-6 * 2 / 3)
    assert again.source == first.target


def test_mimetic_takes_no_source(tmp_path: Path, source: Path) -> None:
    grown = grow_checkpoint(None, TINY, "mimetic", seed=3)
    timm.create_model(TINY).load_state_dict(grown.state_dict(), strict=True)
    assert grown.difference is None
    assert "source    none" in grown.summary()
    with pytest.raises(UserError, match="mimetic takes no --source"):
        grow_checkpoint(source, TINY, "mimetic")
    with pytest.raises(UserError, match="lemon grows a checkpoint: give --source"):
        grow_checkpoint(None, TINY, "lemon")


@pytest.mark.parametrize("wrap", [lambda s: s, lambda s: {"model": s, "epoch": 3}, lambda s: {"state_dict": s}])
def test_a_pickle_of_tensors_is_unwrapped(source: Path, tmp_path: Path, wrap: object) -> None:
    state = load_file(source)
    torch.save(wrap(state), tmp_path / "narrow.pth")  # type: ignore[operator]
    read = read_checkpoint(tmp_path / "narrow.pth")
    assert torch.equal(read.weights["blocks.mlp.fc1.weight"][1], state["blocks.1.mlp.fc1.weight"])


class Code:
    def __init__(self, path: Path) -> None:
        self.path = str(path)

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (self.path,)


def test_code_in_a_pickle_is_not_run(source: Path, tmp_path: Path) -> None:
    torch.save({"model": load_file(source), "args": Code(tmp_path / "owned")}, tmp_path / "new.pth")
    (tmp_path / "old.pth").write_bytes(pickle.dumps(Code(tmp_path / "owned"), protocol=2))
    (tmp_path / "cut.pth").write_bytes((tmp_path / "new.pth").read_bytes()[:5000])
    for file in ("new.pth", "old.pth", "cut.pth"):
        with pytest.raises(UserError, match=rf"{file}: cannot be read as tensors alone.*save_file"):
            read_checkpoint(tmp_path / file)
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize(
    ("target", "says"),
    [
        ("deit_smal_patch16_224", "no such model; did you mean deit_small_patch16_224"),
        ("resnet18", "not a plain ViT but a ResNet"),
        ("deit3_small_patch16_224", "LayerScale"),
        ("deit_small_distilled_patch16_224", "not a plain ViT"),
        ("vit_base_patch16_clip_224", "bias=False"),
        ("vit_base_patch32_224", "must share patch_size"),
    ],
)
def test_a_target_that_does_not_go_is_named(source: Path, target: str, says: str) -> None:
    with pytest.raises(UserError, match=re.escape(says)):
        grow_checkpoint(source, target, "bert2bert-fpi")


def test_a_source_that_does_not_go_is_named(source: Path, tmp_path: Path) -> None:
    state = load_file(source)
    like = named_config(SMALL)

    def says(message: str, changed: dict[str, Tensor], heads: int | None = None) -> None:
        save_file(changed, tmp_path / "x.safetensors")
        with pytest.raises(UserError, match=rf"x\.safetensors: .*{message}"):
            source_config(read_checkpoint(tmp_path / "x.safetensors"), like, heads)

    says("no head.weight", {name: tensor for name, tensor in state.items() if name != "head.weight"})
    says("missing norm.bias", {name: tensor for name, tensor in state.items() if name != "norm.bias"})
    says("not a plain ViT: unknown parameters dist_token", {**state, "dist_token": torch.zeros(1)})
    says("6 patches, which is no square", {**state, "pos_embed": torch.zeros(1, 7, 128)})
    says("--source-heads 5 does not divide", state, heads=5)
    with pytest.raises(UserError, match=r"none\.pth: no such file; give a timm checkpoint"):
        read_checkpoint(tmp_path / "none.pth")
    assert source_config(read_checkpoint(source), like).num_heads == 2
    assert source_config(read_checkpoint(source), like, 8).num_heads == 8


@pytest.mark.parametrize("mlp_dim", [61, 115, 896])
def test_any_mlp_is_inferred(tmp_path: Path, mlp_dim: int) -> None:
    """224 x (61 / 224) is a little less than 61, and timm rounds down."""
    model = VisionTransformer(img_size=32, embed_dim=224, depth=1, num_heads=7, mlp_ratio=(mlp_dim + 0.5) / 224)
    read = read_checkpoint(saved(model, tmp_path / "x.safetensors"))
    assert source_config(read, named_config(SMALL), 7).mlp_dim == mlp_dim


def test_a_learned_operator_is_fitted_on_data(
    digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """timm's ViTs are too large for 8 px, so the name stands for a small one."""
    small = ModelConfig(embed_dim=16, depth=2, num_heads=2, patch_size=4, img_size=8, num_classes=10)
    large = small.model_copy(update={"embed_dim": 32, "num_heads": 4})
    for module in ("regrow.grow", "regrow.grown"):
        monkeypatch.setattr(f"{module}.named_config", lambda name: large)
    source = saved(build(small, seed=0), tmp_path / "narrow.safetensors")
    out = tmp_path / "out.safetensors"
    arguments = ["--operator", "mango", "--source", source, "--target", "wide", "--out", out, "--data", digits]
    arguments += ["--fit-steps", 30, "--fit-batch", 32, "--lr", "1e-3", "--lr", "1e-2"]
    assert main(["grow", *map(str, arguments)]) == 0
    text = capsys.readouterr().out
    losses = re.search(r"is the best of 2: minival loss ([0-9.]+) -> ([0-9.]+)", text)
    assert losses
    assert float(losses[2]) < float(losses[1]) - 0.1
    assert "NOT FITTED" not in text
    start = grow_checkpoint(source, "wide", "mango").state_dict()
    fitted = load_file(out)
    assert all(fitted[name].shape == start[name].shape for name in start)
    assert not torch.equal(fitted["blocks.0.mlp.fc1.weight"], start["blocks.0.mlp.fc1.weight"])
    with pytest.raises(UserError, match="closed form"):
        grow_checkpoint(source, "wide", "bert2bert-fpi", data=digits)
    other = saved(build(small.model_copy(update={"num_classes": 3}), seed=0), tmp_path / "other.safetensors")
    with pytest.raises(UserError, match="num_classes 10, but the source was trained at 3"):
        grow_checkpoint(other, "wide", "mango", data=digits)
    with pytest.raises(UserError, match="lr"):
        fit_recipe(lrs=(1e-3, -1.0))


@pytest.mark.parametrize("text", ["noise", "[1, 2]", "noise=[", '{"noise": '])
def test_an_option_that_cannot_be_read_is_named(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    arguments = ["--operator", "mango", "--source", source, "--target", SMALL, "--out", tmp_path / "o"]
    assert main(["grow", *map(str, arguments), "--options", text]) == 2
    assert f"--options {text}: " in capsys.readouterr().err
