"""`regrow explain`: a cell is the mean of its seeds, and the runs behind it are those that it is made of."""

from __future__ import annotations

import math
from pathlib import Path

import pandas as pd
import pytest

from conftest import ROOT
from regrow.cli import main
from regrow.config import load_params
from regrow.errors import UserError
from regrow.explain import Cell, explain, in_short, row_names
from regrow.report.frames import Records, read
from regrow.report.tables import record_tables
from regrow.study import runs
from synthetic_growth import PARAMS as GROWTH
from synthetic_growth import write_records as write_growth
from synthetic_learngene import PARAMS, write_records


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> Records:
    folder = tmp_path_factory.mktemp("explain")
    write_records(folder)
    return read(PARAMS, folder)


@pytest.fixture(scope="module")
def growth(tmp_path_factory: pytest.TempPathFactory) -> Records:
    folder = tmp_path_factory.mktemp("growth")
    write_growth(GROWTH, folder, curves={"mango_s1": [50, 80, 90, 91, 92]})
    return read(GROWTH, folder)


def behind(cell: Cell) -> list[str]:
    return [run.key for run in cell.behind]


def test_a_saving_is_the_mean_of_its_seeds_and_compares_with_scratch(growth: Records) -> None:
    cell = explain(growth, "growth", "mango", "flops_saved")
    # scratch ends at 80 after 400 steps; mango is there after 150 with seed 0, after 100 with seed 1
    assert (cell.column, cell.value, cell.seeds) == ("flops_saved_mean", 68.75, {0: 62.5, 1: 75.0})
    assert cell.keys == ["target/scratch_s0", "target/mango_s0", "target/scratch_s1", "target/mango_s1"]
    parents = ["pretrain/small_s{0}", "target/scratch_s{0}", "grow/mango_s{0}", "target/mango_s{0}"]
    assert behind(cell) == [key.format(seed) for seed in (0, 1) for key in parents]


def test_an_accuracy_is_its_own_runs_alone(growth: Records) -> None:
    cell = explain(growth, "growth", "mango", "test_accuracy_mean")
    assert (cell.value, cell.seeds) == (80.5, {0: 80.0, 1: 81.0})
    assert cell.keys == ["target/mango_s0", "target/mango_s1"]


def test_transfer_and_operators(growth: Records) -> None:
    cell = explain(growth, "transfer", "mango/cells", "test_accuracy")
    assert cell.keys == ["transfer/mango_cells_s0", "transfer/mango_cells_s1"]
    assert behind(cell)[:4] == ["pretrain/small_s0", "grow/mango_s0", "target/mango_s0", "transfer/mango_cells_s0"]
    over_sets = explain(growth, "transfer", "mango/mean", "test_accuracy")
    assert over_sets.keys == [f"transfer/mango_{data}_s{seed}" for seed in (0, 1) for data in ("few", "cells")]
    assert over_sets.seeds == {0: (80 + 90) / 2, 1: (81 + 91) / 2}
    alone = explain(growth, "operators", "mango/1", "lr")
    assert (alone.value, alone.seeds, alone.keys) == (1e-2, {1: 1e-2}, ["grow/mango_s1"])


def test_the_learngenes_tables(records: Records) -> None:
    cell = explain(records, "descendants", "tleg/4", "test_lead")
    assert cell.seeds == {0: 10.0, 1: 10.0}
    assert cell.keys == [f"target/{arm}-d4_s{seed}" for seed in (0, 1) for arm in ("scratch", "tleg")]
    assert behind(cell)[0].startswith("teacher/")
    assert "learngene/tleg_s0" in behind(cell)
    family = explain(records, "family_cost", "pre-fin", "total_flops")
    assert family.keys == [f"target/pre-fin-d{depth}_s{seed}" for seed in (0, 1) for depth in (2, 4)]
    assert set(family.seeds.values()) == {family.value}
    every = explain(records, "fixed_set", "tleg/mean", "test_accuracy")
    assert every.keys == [f"target/tleg-d{depth}_s{seed}" for seed in (0, 1) for depth in (2, 4)]
    moved = explain(records, "descendants_transfer", "tleg/4/cells", "test_accuracy")
    assert moved.keys == ["transfer/tleg-d4_cells_s0", "transfer/tleg-d4_cells_s1"]
    # the growth study's scratch is another arm than the learngene's
    assert explain(records, "growth", "scratch", "test_accuracy").keys == ["target/scratch_s0", "target/scratch_s1"]


def test_a_comparison_is_made_of_both_arms(records: Records) -> None:
    cell = explain(records, "improvement", "mango/test_accuracy/stackbert", "probability")
    assert cell.keys == [f"target/{arm}_s{seed}" for seed in (0, 1) for arm in ("stackbert", "mango")]


def test_a_mean_of_every_table_is_that_of_its_seeds(records: Records) -> None:
    """So the runs of one seed are told from the others', in every table that there is."""
    found = set()
    for table in record_tables(records):
        keys = row_names(table.data)
        alone = table.data if table.name != "conventions" else table.data[table.data["target"] != "level"]
        line = alone.iloc[-1]
        columns = [name for name in table.data if name.endswith(("_mean", "_flops"))]
        if columns and "seed" not in keys:
            cell = explain(records, table.name, "/".join(str(line[name]) for name in keys), columns[0])
            assert list(cell.seeds) == [0, 1]
            assert sum(map(float, map(str, cell.seeds.values()))) / 2 == pytest.approx(float(str(cell.value)))
            found.add(table.name)
    assert found >= {"growth", "transfer", "descendants", "family_cost", "fixed_set", "descendants_transfer"}


def test_a_row_is_named_by_as_many_columns_as_it_takes() -> None:
    rows = pd.DataFrame({"measure": ["a", "b"], "than": ["x", "x"], "arm": ["m", "m"], "n": [1, 1]})
    assert row_names(rows) == ["arm", "measure"]
    assert row_names(rows[:1]) == ["arm"]
    assert row_names(rows.drop(columns="arm")) == ["measure"]


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        (("grwth", "mango", "lr"), "'grwth': no such thing among the tables; did you mean 'growth'?"),
        (
            ("growth", "mangos", "lr"),
            "rows of growth (arm); did you mean 'mango'? There are: scratch, stackbert, mango",
        ),
        (("transfer", "mango", "n"), "rows of transfer (arm/data); did you mean 'mango/"),
        (("growth", "mango", "flop_saved"), "columns of growth; did you mean 'flops_saved_"),
    ],
)
def test_what_is_not_there_is_named_with_its_nearest(growth: Records, cell: tuple[str, str, str], message: str) -> None:
    with pytest.raises(UserError) as raised:
        explain(growth, *cell)
    assert message in str(raised.value)


def test_every_kind_of_run_in_one_line() -> None:
    lines = {key: in_short(run.config) for key, run in runs(load_params(ROOT / "params/smoke.yaml")).items()}
    assert lines["teacher/test-resnet_s0"] == "test_resnet; 60 steps, batch 32, lr 0.003"
    assert lines["learngene/tleg_s0"] == "tleg through ViT 32 x 2; 60 steps, batch 32, lr 0.003"
    assert lines["target/mango_s0"] == "ViT 32 x 2; 60 steps, batch 32, lr 0.003"
    fit = "fit 10 steps, batch 32, lr 0.001, rates 0.0003, 0.003"
    assert lines["grow/mango_s0"] == f"mango: ViT 16 x 2 to ViT 32 x 2; {fit}"
    paper = runs(load_params(ROOT / "params/paper.yaml"))
    assert in_short(paper["teacher/levit-384_s0"].config) == "levit_384.fb_dist_in1k; hub"


def test_the_command_prints_the_value_the_runs_and_how_to_make_them(
    study: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(study)
    arguments = ["growth", "mango", "test_accuracy", "--params", "params.yaml", "--results", "results/tiny"]
    assert main(["explain", *arguments]) == 0
    printed = capsys.readouterr().out
    cell = explain(read(load_params(study / "params.yaml"), study / "results/tiny"), "growth", "mango", "test_accuracy")
    assert math.isfinite(float(str(cell.value)))
    assert printed.startswith(f"results/tiny/tables/growth.csv, arm mango, test_accuracy_mean: {cell.value:.10g}\n")
    assert f"  seed 0 alone: {cell.seeds[0]:.10g}\n" in printed
    assert (
        "  target/mango_s0 from grow/mango_s0\n    ViT 16 x 2; 4 steps, batch 16, lr 0.003; data digits-8px" in printed
    )
    weights = "results/tiny/weights/target/mango_s0.safetensors"
    assert f"  snakemake {weights} --cores all --config params=params.yaml\n" in printed
    for run in cell.behind:
        made = read(load_params(study / "params.yaml"), study / "results/tiny").runs.loc[run.key]
        assert made["weights_sha256"] in printed
