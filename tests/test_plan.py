"""`regrow plan`: closed forms against what the runs of a real tiny study counted, and against torch."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import timm
import torch
from torch.utils.flop_counter import FlopCounterMode

from conftest import ROOT, TINY, train_config
from regrow.cli import main
from regrow.config import DataRef, Params, SubModels, TimmModel, TrainConfig, load_params
from regrow.data.registry import SETS
from regrow.models.flops import forward_flops, train_flops
from regrow.models.vit import build
from regrow.plan import Plan, plan
from regrow.plan.cost import cost, images_of, timm_size, vit_parameters
from regrow.records import read_json
from regrow.study import runs
from regrow.train import loop
from regrow.train.sub_models import first_stage

STUDY = "results/tiny"
FLAGS = SETS["flags"].train


def planned(root: Path) -> Plan:
    return plan(load_params(root / "params.yaml"), root / STUDY, root / "results/data")


def summaries(root: Path) -> dict[str, dict[str, object]]:
    return {
        key: read_json(root / STUDY / "records" / key / "summary.json")
        for key in runs(load_params(root / "params.yaml"))
    }


def test_a_plain_runs_flops_and_every_runs_parameters_are_exactly_the_ledgers(study: Path) -> None:
    rows = planned(study).rows
    for key, summary in summaries(study).items():
        row = rows.loc[key]
        counted = sum(int(str(summary.get(name, 0))) for name in ("flops", "selection_flops", "teacher_flops"))
        assert row["spent_flops"] == counted
        assert row["weight_bytes"] == 4 * int(str(summary["parameters"])), key
        if key in ("grow/mango_s0", "learngene/tleg_s0"):  # the maps' own FLOPs are not in the plan
            assert 0.5 * counted < row["flops"] < counted, key
        else:
            assert row["flops"] == counted, key


def test_the_rest_of_a_fit_and_of_a_distillation_is_their_map(study: Path) -> None:
    found, rows = summaries(study), planned(study).rows["flops"]
    steps, batch, rates = 4, 16, 2
    config = runs(load_params(study / "params.yaml"))["target/mango_s0"].config
    assert isinstance(config, TrainConfig)
    assert rows["grow/mango_s0"] == rates * steps * batch * train_flops(config.model)
    taught = found["learngene/tleg_s0"]["teacher_flops"]
    assert taught == steps * batch * int(str(found["teacher/test-resnet_s0"]["forward_flops_per_image"]))
    auxiliary = config.model.model_copy(update={"class_token": False, "depth": 3})
    assert rows["learngene/tleg_s0"] - taught == steps * batch * train_flops(auxiliary)


def test_it_is_the_same_before_and_after(study: Path, tmp_path: Path) -> None:
    """Nothing here yet: images from the registry, the teacher's size from torch."""
    shutil.copy(study / "params.yaml", tmp_path)
    before, after = planned(tmp_path), planned(study)
    columns = ["table", "stage", "flops", "evaluation_flops", "weight_bytes"]
    pd.testing.assert_frame_equal(before.rows[columns], after.rows[columns])
    assert before.rows["spent_flops"].isna().all()
    assert before.by_stage()["done"].sum() == 0
    assert after.by_stage()["done"].sum() == len(after.rows) == 14
    assert before.data_bytes == {"digits-8px-val200-s0": 1797 * 64 * 3}


def test_evaluation_is_what_the_loop_reads(
    digits: Path, study: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from test_stages import run

    read: list[int] = []
    real = loop.evaluate
    monkeypatch.setattr(loop, "evaluate", lambda *given: read.append(len(given[2])) or real(*given))
    monkeypatch.setattr("regrow.stages.outcome.evaluate", loop.evaluate)
    config = train_config()
    assert run(config, digits, tmp_path) == 0
    images = images_of(config.data, tmp_path)
    assert cost(config, images, None).evaluation == sum(read) * forward_flops(TINY)


def test_hours_are_flops_over_throughput(study: Path) -> None:
    found = planned(study)
    both = found.rows["flops"] + found.rows["evaluation_flops"]
    hours = found.hours({"all": 1e9, "target": 2e9})
    slow = found.rows["stage"] != "target"
    pd.testing.assert_series_equal(hours[slow], both[slow] / 1e9 / 3600, check_names=False)
    pd.testing.assert_series_equal(hours[~slow], both[~slow] / 2e9 / 3600, check_names=False)
    stages = found.by_stage(pd.DataFrame({"X hours": hours}))
    assert stages["X hours"].sum() == pytest.approx(hours.sum())
    assert stages.loc[("growth", "target"), "runs"] == 2
    assert (
        stages.loc[("growth", "target"), "flops"]
        == found.rows.loc[["target/scratch_s0", "target/mango_s0"], "flops"].sum()
    )
    assert list(stages.index) == [
        *(("growth", stage) for stage in ("pretrain", "grow", "target")),
        ("transfer", "transfer"),
        *(("descendants", stage) for stage in ("teacher", "learngene", "grow", "target")),
        ("descendants_transfer", "transfer"),
    ]


def test_a_record_of_another_config_is_no_fact(study: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(study, tmp_path / "copy"))
    path = root / "params.yaml"
    path.write_text(path.read_text().replace("2 epochs", "3 epochs"))
    spent = planned(root).rows["spent_flops"]
    assert spent[spent.isna()].index.str.startswith("transfer/").all()
    assert spent.isna().sum() == 5


@pytest.mark.parametrize(
    ("data", "train", "minival"),
    [
        (DataRef(name="imagenet-1k", img_size=224, minival=10000, seed=0), 1_281_167 - 10_000, 10_000),
        (DataRef(name="flags", img_size=32, minival=0.1, seed=0), FLAGS - round(0.1 * FLAGS), round(0.1 * FLAGS)),
        (DataRef(name="mnist", img_size=32, minival=1000, seed=0, per_class=10), 100, 1000),
    ],
)  # fmt: skip
def test_images_of_a_set_that_is_not_packed(tmp_path: Path, data: DataRef, train: int, minival: int) -> None:
    images = images_of(data, tmp_path)
    assert (images["train"], images["minival"], images["test"]) == (train, minival, SETS[data.name].test)


@pytest.mark.parametrize("class_token", [True, False])
def test_parameters_are_those_of_the_model_that_is_built(class_token: bool) -> None:
    config = TINY.model_copy(update={"class_token": class_token, "depth": 3})
    assert vit_parameters(config) == sum(tensor.numel() for tensor in build(config).state_dict().values())


def test_sub_models_are_planned_as_they_are_on_average() -> None:
    """Their depth is drawn at every step, so over many steps the ledger comes near the plan."""
    recipe = train_config().recipe.model_copy(
        update={"duration": "4000 steps", "sub_models": SubModels(share=0.5, layers=2)}
    )
    config = train_config(model=TINY.model_copy(update={"depth": 6}), recipe=recipe)
    first = first_stage(config.model, recipe, 1000, seed=0)
    assert first
    counted = sum(first.flops(step) for step in range(2000)) + 2000 * 16 * train_flops(config.model)
    assert cost(config, {"train": 1000, "minival": 1, "test": 1}, None).flops == pytest.approx(counted, rel=5e-3)


def test_a_teachers_size_is_counted_on_the_meta_device() -> None:
    size = timm_size(TimmModel(name="test_resnet", num_classes=7), 32)
    model = timm.create_model("test_resnet", num_classes=7).eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(torch.randn(1, 3, 32, 32))
    assert size.forward_flops == counter.get_total_flops()
    assert size.parameters == sum(tensor.numel() for tensor in model.state_dict().values())


def test_the_paper_tier_can_be_planned_and_a_source_of_one_arm_is_in_it() -> None:
    """ViT-L's training costs 3.5 times DeiT-B's, which is 300 epochs at 3 x 35.13 G: docs of params/paper.yaml."""
    params = load_params(ROOT / "params/paper.yaml")
    alone = Params.model_validate(params.model_dump() | {"learngene": None})
    found = plan(alone, Path("nowhere"), Path("nowhere"))
    rows = found.rows
    target, large = rows.loc["target/scratch_s0"], rows.loc["pretrain/large_s0"]
    assert target["flops"] == pytest.approx(300 * 1_271_167 * 3 * 35.13e9, rel=1e-3)
    assert large["flops"] / target["flops"] == pytest.approx(3.5, abs=0.05)
    assert large["flops"] == pytest.approx(1.4e20, rel=0.02)
    assert target["weight_bytes"] == 4 * 86_567_656
    assert found.by_stage()["flops"].sum() == pytest.approx(rows["flops"].sum())
    assert rows["flops"].sum() > 2**63


def test_the_command_prints_plan_and_fact(
    study: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(study)
    assert main(["plan", "params.yaml"]) == 0
    lines = capsys.readouterr().out.splitlines()
    target = next(line.split() for line in lines if line.startswith("growth") and " target " in line)
    assert (target[2], target[7], target[9]) == ("2", "2", "1.0000")
    assert float(next(line.split() for line in lines if line.startswith("all"))[-2]) > 1


def test_a_shipped_tier_may_be_named(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    tables = []
    for named in (["params/smoke.yaml"], ["--tier", "smoke"]):
        assert main(["plan", *named]) == 0
        tables.append(capsys.readouterr().out)
    assert tables[0] == tables[1]
    for wrong in ([], ["params/smoke.yaml", "--tier", "smoke"]):
        assert main(["plan", *wrong]) == 2
        assert "expected a params file or --tier" in capsys.readouterr().err


def test_planning_a_tier_without_a_teacher_imports_no_torch(tmp_path: Path) -> None:
    program = (
        "import sys, pathlib, regrow.verify, regrow.explain, regrow.plan as p, regrow.config as c\n"
        f"params = c.load_params(pathlib.Path({str(ROOT / 'params/paper.yaml')!r}))\n"
        "params = params.model_copy(update={'learngene': None})\n"
        "nowhere = pathlib.Path('nowhere')\n"
        "p.plan(params, nowhere, nowhere)\n"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
