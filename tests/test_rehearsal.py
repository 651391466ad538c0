"""A tier's rehearsal: the same runs, a hundredth of their steps."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
import yaml

from conftest import ROOT, train_config
from regrow.cli import main
from regrow.config import DataRef, GrowConfig, LearngeneConfig, Params, RunConfig, load_params
from regrow.data import load
from regrow.plan.cost import images_of
from regrow.stages.images import Images
from regrow.study import runs

TIERS = sorted(path.stem for path in (ROOT / "params").glob("*.yaml") if path.stem != "claims")


def rehearsed(capsys: pytest.CaptureFixture[str], tier: str, *options: str) -> Params:
    assert main(["rehearse", str(ROOT / f"params/{tier}.yaml"), *options]) == 0
    return Params.model_validate(yaml.safe_load(capsys.readouterr().out))


def steps(config: RunConfig) -> int:
    recipe = config.fit.recipe if isinstance(config, GrowConfig) and config.fit else getattr(config, "recipe", None)
    return recipe.steps(images_of(config.data, None)["train"]) if recipe else 0


@pytest.mark.parametrize("tier", TIERS)
def test_every_run_of_the_first_seed_at_a_hundredth_of_its_steps(tier: str, capsys: pytest.CaptureFixture[str]) -> None:
    params = load_params(ROOT / f"params/{tier}.yaml")
    short = rehearsed(capsys, tier)
    whole, found = runs(params.model_copy(update={"seeds": params.seeds[:1]})), runs(short)
    assert list(found) == list(whole)
    assert short.tier == f"{tier}-rehearsal"
    for key, run in found.items():
        expected = whole[key].config
        assert steps(run.config) == (max(2, round(steps(expected) / 100)) if steps(expected) else 0), key
        for name in ("model", "operator", "source", "target", "init", "kind"):
            assert getattr(run.config, name, None) == getattr(expected, name, None), key
        if isinstance(run.config, LearngeneConfig):
            mixed = {"augment", "mixup", "cutmix", "precision", "lr", "drop_path", "weight_decay"}
            assert run.config.recipe.model_dump(include=mixed) == expected.recipe.model_dump(include=mixed)


def test_its_options(capsys: pytest.CaptureFixture[str]) -> None:
    short = rehearsed(capsys, "mini", "--share", "0.1", "--batch", "4", "--thin", "7")
    run = runs(short)["transfer/mango_flags_s0"].config
    assert (run.recipe.batch_size, run.data.thin, steps(run)) == (
        4,
        7,
        10,
    )  # 6,400 examples in batches of 64: 100 steps
    for wrong in (["--share", "0"], ["--batch", "3"], ["--thin", "0"]):
        assert main(["rehearse", str(ROOT / "params/mini.yaml"), *wrong]) == 2
        assert f"{wrong[0]}: expected" in capsys.readouterr().err


def test_it_is_measured_on_every_so_manyth_image(digits: Path, tmp_path: Path) -> None:
    data = DataRef(name="digits", img_size=8, minival=200, seed=0, thin=7)
    shutil.copytree(digits, tmp_path / data.folder)
    images = Images.load(train_config(data=data), tmp_path / data.folder, torch.device("cpu"), in_chans=3)
    packed, planned = load(digits), images_of(data, None)
    assert torch.equal(images.minival.labels, torch.from_numpy(packed.split("minival").labels)[::7])
    assert torch.equal(images.test().labels, torch.from_numpy(packed.split("test").labels)[::7])
    assert (len(images.train), len(images.minival), len(images.test())) == (1237, 29, 52)
    assert planned == {"train": 1237, "minival": 29, "test": 52}
