from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import load_file, save_file

from conftest import RECIPE, TINY, train_config
from regrow.cli import main
from regrow.config import DataRef, Fit, GrowConfig, ModelConfig, OperatorConfig, canonical
from regrow.data import load
from regrow.growth.operator import grow
from regrow.growth.registry import operator
from regrow.models.flops import train_flops
from regrow.models.vit import build, initial, stack, unstack
from regrow.records import read_json, read_jsonl
from regrow.stages import outcome
from regrow.stages.images import balanced_accuracy
from regrow.train.batches import tensors
from regrow.train.loop import Trained, evaluate

WIDE = ModelConfig(embed_dim=32, depth=2, num_heads=4, patch_size=4, img_size=8, num_classes=10)


def run(config: object, data: Path, out: Path, init: Path | None = None) -> int:
    out.mkdir(parents=True, exist_ok=True)
    (out / "config.json").write_text(canonical(config))  # type: ignore[arg-type]
    paths = [
        "--data",
        data,
        "--weights",
        out / "weights.safetensors",
        "--records",
        out,
        *(["--init", init] if init else []),
    ]
    return main(["run", str(out / "config.json"), *map(str, paths)])


def test_what_goes_on_from_a_checkpoint_is_what_was_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = outcome.Place(data=tmp_path, weights=tmp_path, records=tmp_path, work=tmp_path)
    names = [place.checkpoint(train_config()).path.name, replace(place, fast=True).checkpoint(train_config()).path.name]
    monkeypatch.setattr(timm, "__version__", "0.0")
    names.append(place.checkpoint(train_config()).path.name)
    monkeypatch.setattr(outcome, "torch_device", lambda *_, **__: torch.device("meta"))
    names.append(place.checkpoint(train_config()).path.name)
    assert len(set(names)) == 4


@pytest.fixture(scope="module")
def pretrained(digits: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("pretrain")
    assert run(train_config(recipe=RECIPE.model_copy(update={"duration": "80 steps"})), digits, out) == 0
    return out


def grow_config(name: str, **options: object) -> GrowConfig:
    learned = name == "mango"
    return GrowConfig(
        run="x_s0",
        seed=0,
        data=DataRef(name="digits", img_size=8, minival=200, seed=0),
        operator=OperatorConfig(name=name, options=options),
        source=TINY,
        target=WIDE,
        init="pretrain/tiny_s0",
        fit=Fit(recipe=RECIPE, lr_candidates=(1e-4, 1e-3)) if learned else None,
    )


def test_the_average_is_what_a_run_writes_and_reads_the_test_set_with(digits: Path, tmp_path: Path) -> None:
    recipe = RECIPE.model_copy(update={"ema": 0.9})
    plain, average = tmp_path / "plain", tmp_path / "average"
    assert run(train_config(), digits, plain) == run(train_config(recipe=recipe), digits, average) == 0
    weights = stack(load_file(average / "weights.safetensors"))
    test = tensors(load(digits), "test", torch.device("cpu"), in_chans=3)
    assert evaluate(build(TINY), weights, test)[0] == read_json(average / "summary.json")["test_loss"]
    assert read_json(average / "summary.json")["test_loss"] != read_json(plain / "summary.json")["test_loss"]


def test_a_run_leaves_summary_metrics_provenance_and_timm_weights(pretrained: Path) -> None:
    summary = read_json(pretrained / "summary.json")
    metrics = read_jsonl(pretrained / "metrics.jsonl")
    provenance = read_json(pretrained / "provenance.json")
    assert summary["steps"] == 80 == metrics[-1]["step"]
    assert summary["flops"] == 80 * 16 * train_flops(TINY) == metrics[-1]["flops"]
    assert summary["minival_accuracy"] == metrics[-1]["minival_accuracy"]
    assert 0 <= summary["test_accuracy"] <= 100
    assert provenance["seconds"] > 0
    assert len(provenance["clock"]) == len(metrics)
    assert {"torch", "timm"} <= set(provenance["versions"])
    model = timm.create_model(
        "deit_tiny_patch16_224", img_size=8, patch_size=4, embed_dim=16, depth=2, num_heads=2, num_classes=10
    )
    model.load_state_dict(load_file(pretrained / "weights.safetensors"), strict=True)


def test_the_same_run_makes_the_same_bytes(digits: Path, tmp_path: Path) -> None:
    for name in "ab":
        assert run(train_config(), digits, tmp_path / name) == 0
    for file in ("weights.safetensors", "summary.json", "metrics.jsonl"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes(), file
    assert not list(tmp_path.rglob("checkpoint*"))


def test_a_closed_form_growth_is_the_operator_alone(pretrained: Path, digits: Path, tmp_path: Path) -> None:
    config = grow_config("bert2bert-fpi", noise=0.0)
    assert run(config, digits, tmp_path, pretrained / "weights.safetensors") == 0
    grown = stack(load_file(tmp_path / "weights.safetensors"))
    basis = stack(load_file(pretrained / "weights.safetensors"))
    expected = grow(operator(config.operator), basis, TINY, WIDE, seed=0)
    assert all(torch.equal(grown[name], expected[name]) for name in expected)
    summary = read_json(tmp_path / "summary.json")
    source = read_json(pretrained / "summary.json")
    assert summary["flops"] == 0
    assert summary["before"]["minival_accuracy"] == pytest.approx(source["minival_accuracy"], abs=0.51)


def test_a_fit_tries_every_rate_and_keeps_the_best_on_minival(pretrained: Path, digits: Path, tmp_path: Path) -> None:
    assert run(grow_config("mango"), digits, tmp_path, pretrained / "weights.safetensors") == 0
    summary = read_json(tmp_path / "summary.json")
    losses = {candidate["lr"]: candidate["minival_loss"] for candidate in summary["candidates"]}
    assert set(losses) == {1e-4, 1e-3}
    assert losses[summary["lr"]] == min(losses.values()) == summary["minival_loss"]
    assert summary["flops"] > 12 * 16 * train_flops(WIDE), "the map's own arithmetic is in the ledger"
    assert summary["selection_flops"] == summary["flops"]


def test_transfer_starts_from_the_body_with_a_fresh_head(pretrained: Path, digits: Path, tmp_path: Path) -> None:
    config = train_config(
        stage="transfer", init="pretrain/tiny_s0", new_head=True, recipe=RECIPE.model_copy(update={"lr": 1e-9})
    )
    assert run(config, digits, tmp_path, pretrained / "weights.safetensors") == 0
    before, after = load_file(pretrained / "weights.safetensors"), load_file(tmp_path / "weights.safetensors")
    torch.testing.assert_close(before["blocks.0.mlp.fc1.weight"], after["blocks.0.mlp.fc1.weight"], atol=1e-6, rtol=0)
    assert after["head.weight"].abs().max() < 1e-6


def test_balanced_accuracy_is_the_mean_recall() -> None:
    labels, predicted = torch.tensor([0, 0, 0, 1]), torch.tensor([0, 0, 1, 1])
    assert balanced_accuracy(predicted, labels) == pytest.approx(100 * (2 / 3 + 1) / 2)


def failing(capsys: pytest.CaptureFixture[str], *arguments: object, **kwargs: Path) -> str:
    assert run(*arguments, **kwargs) == 2  # type: ignore[arg-type]
    return capsys.readouterr().err


def test_another_architectures_checkpoint_is_refused(
    pretrained: Path, digits: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = train_config(stage="target", model=WIDE, init="grow/x_s0")
    error = failing(capsys, config, digits, tmp_path, init=pretrained / "weights.safetensors")
    assert "a checkpoint of another architecture" in error
    assert "expected (1, 1, 32)" in error
    assert not (tmp_path / "summary.json").exists()


def test_missing_inputs_are_named(digits: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = train_config(stage="target", init="grow/x_s0")
    assert "give --init WEIGHTS" in failing(capsys, config, digits, tmp_path / "a")
    error = failing(capsys, config, digits, tmp_path / "b", init=tmp_path / "none.safetensors")
    assert "none.safetensors: no such file" in error
    assert "manifest.json" in failing(capsys, train_config(), tmp_path / "nodata", tmp_path / "c")


def test_corrupt_data_is_refused(digits: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    copy = tmp_path / "digits"
    shutil.copytree(digits, copy)
    content = bytearray((copy / "images.npy").read_bytes())
    content[-1] ^= 1
    (copy / "images.npy").write_bytes(content)
    error = failing(capsys, train_config(), copy, tmp_path / "out")
    assert "images.npy: expected sha256" in error


def test_an_unwritable_folder_is_named_and_nothing_is_half_written(
    digits: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "config.json").write_text(canonical(train_config()))
    (tmp_path / "file").write_text("in the way")
    arguments = ["--data", digits, "--weights", tmp_path / "file/w.safetensors", "--records", tmp_path / "rec"]
    assert main(["run", str(tmp_path / "config.json"), *map(str, arguments)]) == 2
    assert "cannot be written" in capsys.readouterr().err
    assert not (tmp_path / "rec/summary.json").exists()


def test_weights_that_are_not_finite_are_never_written(
    digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real = outcome.train

    def broken(*arguments: object) -> Trained:
        done = real(*arguments)  # type: ignore[arg-type]
        done.tensors["head.weight"][0, 0] = torch.nan
        return done

    monkeypatch.setattr(outcome, "train", broken)
    assert run(train_config(), digits, tmp_path) == 2
    assert "pretrain/tiny_s0: head.weight is not finite at the end" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == ["config.json"]


def test_a_pickle_is_not_read(digits: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save(unstack(initial(TINY, seed=0)), tmp_path / "weights.pth")
    config = train_config(stage="target", init="grow/x_s0")
    error = failing(capsys, config, digits, tmp_path / "out", init=tmp_path / "weights.pth")
    assert "not a whole safetensors file" in error


def test_foreign_safetensors_are_a_valid_source(digits: Path, tmp_path: Path) -> None:
    """A timm state dict that another program saved has no checksum of ours, and is read all the same."""
    save_file(unstack(initial(TINY, seed=0)), tmp_path / "timm.safetensors")
    config = train_config(stage="target", init="grow/x_s0")
    assert run(config, digits, tmp_path / "out", init=tmp_path / "timm.safetensors") == 0


def test_a_rate_at_which_the_fit_diverges_is_out_and_its_steps_are_paid_for(
    pretrained: Path, digits: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """At 1e30 the second step's loss is not finite; the fit at 1e-3 is as if it were alone."""
    init = pretrained / "weights.safetensors"
    config = grow_config("mango")
    rates = {"both": (1e30, 1e-3), "alone": (1e-3,), "wild": (1e30,)}
    fits = {name: Fit(recipe=RECIPE, lr_candidates=found) for name, found in rates.items()}
    codes = {
        name: run(config.model_copy(update={"fit": fit}), digits, tmp_path / name, init) for name, fit in fits.items()
    }
    assert codes == {"both": 0, "alone": 0, "wild": 2}
    told = capsys.readouterr()
    assert "lr 1e+30: the loss is" in told.out
    assert "this candidate is out" in told.out
    assert "lr 1e+30: the loss is" in told.err
    both, alone = (read_json(tmp_path / name / "summary.json") for name in ("both", "alone"))
    assert both["weights_sha256"] == alone["weights_sha256"]
    wild = both["candidates"][0]
    assert (wild["lr"], wild["minival_loss"]) == (1e30, None)
    assert both["selection_flops"] == wild["flops"] == wild["step"] * alone["flops"] / alone["steps"] > 0
