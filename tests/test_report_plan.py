"""Plan and fact in the report: a real tiny study, and synthetic records whose ledger is worked out here."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from regrow.config import load_params
from regrow.plan import plan
from regrow.records import read_json
from regrow.report.frames import read
from regrow.report.plan import plan_tables
from regrow.study import runs

STUDY = "results/tiny"


@pytest.fixture(scope="module")
def tables(study: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    records = read(load_params(study / "params.yaml"), study / STUDY)
    flops, seconds = (table.data.set_index(["table", "stage"]) for table in plan_tables(records, study / STUDY))
    return flops, seconds


def test_the_plan_is_that_of_the_command_and_the_fact_that_of_the_ledger(
    study: Path, tables: tuple[pd.DataFrame, pd.DataFrame]
) -> None:
    flops, _ = tables
    params = load_params(study / "params.yaml")
    before = plan(params, Path("nothing/here"), study / "results/data").by_stage()
    assert flops["planned_flops"].to_dict() == before["flops"].to_dict() | {("all", ""): before["flops"].sum()}
    ledger = dict.fromkeys(flops.index, 0)
    for key, run in runs(params).items():
        summary = read_json(study / STUDY / "records" / key / "summary.json")
        counted = sum(summary.get(name, 0) for name in ("flops", "selection_flops", "teacher_flops"))
        ours = run.arm.endswith("-d3") or run.stage in ("teacher", "learngene")
        names = {True: "descendants_transfer", False: "transfer"} if run.stage == "transfer" else {True: "descendants"}
        ledger[names.get(ours, "growth"), run.stage] += counted
        ledger["all", ""] += counted
    assert flops["recorded_flops"].to_dict() == ledger
    assert flops.loc[("growth", "target"), "ratio"] == 1
    assert flops.loc[("growth", "grow"), "ratio"] > 1  # the maps' own FLOPs are not in the plan
    assert flops["ratio"].isna().tolist() == (flops["planned_flops"] == 0).tolist()
    assert flops["runs"].tolist()[-1] == len(runs(params)) == flops["runs"].sum() / 2


def test_seconds_are_at_the_stages_own_speed(study: Path, tables: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    """So over a whole stage they are right wherever its FLOPs are, and where two tables share it they differ."""
    _, seconds = tables
    target = seconds.xs("target", level="stage")
    assert len(target) == 2
    assert target["planned_seconds"].sum() == pytest.approx(target["recorded_seconds"].sum())
    spent = [
        read_json(study / STUDY / f"records/target/{arm}_s0/provenance.json")["seconds"] for arm in ("scratch", "mango")
    ]
    assert target.loc["growth", "recorded_seconds"] == pytest.approx(sum(spent))


def test_other_records_in_the_folder_change_nothing(
    study: Path, tmp_path: Path, tables: tuple[pd.DataFrame, pd.DataFrame]
) -> None:
    results = Path(shutil.copytree(study / STUDY / "records", tmp_path / "records")).parent
    stray = Path(shutil.copytree(results / "records/target/mango_s0", results / "records/target/mango_s7"))
    (stray / "provenance.json").write_text('{"seconds": 1e9}')
    records = read(load_params(study / "params.yaml"), results)
    assert plan_tables(records, results)[1].data["planned_seconds"].tolist() == tables[1]["planned_seconds"].tolist()


def test_it_imports_no_torch() -> None:
    program = "import sys, regrow.plan, regrow.report.plan; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
