"""How linear weights are in the layer's position: against what is known exactly, and against numpy's own fits."""

from __future__ import annotations

from itertools import permutations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.colors import to_hex

from conftest import ROOT, TINY
from regrow.cli import main
from regrow.config import load_params
from regrow.layers.choice import analysed
from regrow.layers.figure import arms, layers_figure, look_at
from regrow.layers.measure import block_linearity, chance, chance_95, linearity
from regrow.layers.write import checkpoint_names
from regrow.models.vit import initial, unstack
from regrow.study import runs
from regrow.train.checkpoint import save_tensors

RNG = np.random.default_rng(0)
DEEP = TINY.model_copy(update={"depth": 4})


def test_tlegs_expansion_is_linear_to_the_last_digit() -> None:
    first, slope = RNG.normal(size=(2, 6, 5))
    found = linearity(np.stack([first + layer / 8 * slope for layer in range(8)]))
    assert found.weights == 30
    assert (found.score_r2, found.first_share, found.linear_share) == pytest.approx((1, 1, 1))
    steps = np.diff(found.scores)
    assert steps == pytest.approx(np.full(7, np.linalg.norm(slope) / 8))


def test_measures_are_those_of_an_svd_and_of_a_fit_of_every_weight() -> None:
    layers = RNG.normal(size=(6, 4, 3)) + 0.4 * np.arange(6)[:, None, None]
    found = linearity(layers)
    centred = layers.reshape(6, -1) - layers.reshape(6, -1).mean(0)
    left, values, _ = np.linalg.svd(centred, full_matrices=False)
    assert np.abs(found.scores) == pytest.approx(np.abs(left[:, 0] * values[0]))
    assert found.first_share == pytest.approx(values[0] ** 2 / (values**2).sum())
    assert found.score_r2 == pytest.approx(np.corrcoef(found.scores, np.arange(6))[0, 1] ** 2)
    line = np.polynomial.polynomial.polyfit(np.arange(6), centred, 1)
    residual = centred - np.polynomial.polynomial.polyval(np.arange(6), line).T
    assert found.linear_share == pytest.approx(1 - (residual**2).sum() / (centred**2).sum())


def test_scores_rise_with_the_layer_whatever_the_sign_of_the_weights() -> None:
    layers = RNG.normal(size=(5, 7)) + np.arange(5)[:, None]
    for sign in (1, -1):
        scores = linearity(sign * layers).scores
        assert scores @ np.arange(5) > 0


def test_chance_is_the_mean_over_every_order_of_the_layers() -> None:
    layers = RNG.normal(size=(5, 9)).cumsum(0)
    found = [linearity(layers[list(order)]) for order in permutations(range(5))]
    assert np.mean([one.score_r2 for one in found]) == pytest.approx(chance(5)) == 0.25
    assert np.mean([one.linear_share for one in found]) == pytest.approx(chance(5))


def test_one_random_model_in_twenty_lies_above_the_95th_percentile() -> None:
    above = [linearity(RNG.normal(size=(6, 20))).score_r2 > chance_95(6) for _ in range(4000)]
    assert np.mean(above) == pytest.approx(0.05, abs=0.012)
    assert chance_95(4) == pytest.approx(0.95**2)


def test_equal_layers_have_no_figure_and_two_layers_are_refused() -> None:
    found = linearity(np.ones((4, 3)))
    assert np.isnan([found.score_r2, found.first_share, found.linear_share, *found.scores]).all()
    with pytest.raises(ValueError, match="2 layers: two always lie on a line"):
        linearity(np.ones((2, 3)))


def test_every_parameter_of_the_blocks_is_measured_and_nothing_else() -> None:
    weights = {name: tensor.numpy() for name, tensor in initial(DEEP, seed=0).items()}
    found = block_linearity(weights)
    assert len(found) == 12
    assert list(found)[:3] == ["norm1.weight", "norm1.bias", "attn.qkv.weight"]
    assert found["attn.qkv.weight"].weights == 3 * 16 * 16
    assert found["mlp.fc1.weight"].linear_share == pytest.approx(chance(4), abs=0.05)


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A safetensors file, and DeiT's own form: a pickle with the weights under `model`."""
    folder = tmp_path_factory.mktemp("checkpoints")
    save_tensors(folder / "scratch_s0.safetensors", unstack(initial(DEEP, seed=0)))
    torch.save({"model": unstack(initial(DEEP, seed=1))}, folder / "deit.pth")
    return [folder / "scratch_s0.safetensors", folder / "deit.pth"]


def test_the_command_reads_both_kinds_of_checkpoint_and_repeats_its_bytes(
    checkpoints: list[Path], tmp_path: Path
) -> None:
    for name in "ab":
        arguments = ["--out", str(tmp_path / name), "--table", str(tmp_path / name / "tables")]
        assert main(["layers", *map(str, checkpoints), *arguments]) == 0
    for file in ("layers.svg", "layers.png", "layers.pdf", "tables/layers.csv"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes(), file
    table = pd.read_csv(tmp_path / "a/tables/layers.csv")
    assert table.groupby("checkpoint").size().to_dict() == {"scratch_s0": 12, "deit": 12}
    fresh = table[table["parameter"] == "mlp.fc2.bias"]
    assert fresh["linear_share"].isna().all()
    row = table[(table["checkpoint"] == "deit") & (table["parameter"] == "attn.proj.weight")].iloc[0]
    expected = linearity(initial(DEEP, seed=1)["blocks.attn.proj.weight"].numpy())
    assert row["linear_share"] == pytest.approx(expected.linear_share)
    assert [float(score) for score in row["scores"].split()] == pytest.approx(expected.scores, rel=1e-4)


def test_wrong_checkpoints_are_named(
    checkpoints: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_tensors(tmp_path / "flat.safetensors", unstack(initial(TINY, seed=0)))
    save_tensors(tmp_path / "head.safetensors", {"head.bias": torch.zeros(3)})
    wanted = {"flat": "2 layers: two always lie on a line", "head": "so not a ViT", "none": "no such file"}
    for name, message in wanted.items():
        path = tmp_path / f"{name}.safetensors"
        assert main(["layers", str(path), "--out", str(tmp_path)]) == 2
        error = capsys.readouterr().err
        assert str(path) in error
        assert message in error
    assert main(["layers", str(checkpoints[0]), str(checkpoints[0]), "--out", str(tmp_path)]) == 2
    assert "two checkpoints of one name" in capsys.readouterr().err
    assert not (tmp_path / "layers.csv").exists()


def test_files_of_one_name_are_told_apart_by_their_folders() -> None:
    assert checkpoint_names([Path("a/x.pth"), Path("b/x.pth"), Path("b/y.pth")]) == ["a/x", "b/x", "y"]


def test_seeds_of_one_arm_look_alike_and_arms_do_not() -> None:
    looks = [(to_hex(look_at(place)["color"]), look_at(place)["marker"]) for place in range(20)]
    assert len(set(looks)) == 20
    weights = {name: tensor.numpy() for name, tensor in initial(DEEP, seed=0).items()}
    measured = {name: block_linearity(weights) for name in ("scratch_s0", "scratch_s1", "mango_s0")}
    assert arms(measured) == {"scratch": 2, "mango": 1}
    _, below = layers_figure(measured).subfigs
    (legend,) = below.legends
    assert [text.get_text() for text in legend.get_texts()] == ["scratch (2 seeds)", "mango"]


def test_the_study_looks_at_every_seed_of_scratch_and_one_of_the_others() -> None:
    params = load_params(ROOT / "params/mini.yaml")
    chosen = analysed(params, runs(params))
    of_growth = {key for key in chosen if "-d" not in key}
    others = {f"target/{arm}_s{params.seeds[0]}" for arm in params.arms if arm != params.scratch}
    assert of_growth == {f"target/{params.scratch}_s{seed}" for seed in params.seeds} | others
    flat = params.model_copy(update={"target": params.target.model_copy(update={"depth": 2}), "learngene": None})
    assert analysed(flat, {key: run for key, run in runs(flat).items() if run.arm == params.scratch}) == []
