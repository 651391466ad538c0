"""How fast a device is taken to be: by a GPU's peak, by the user, by records; and what the command prints of it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from conftest import ROOT
from regrow.cli import main
from regrow.config import load_params
from regrow.errors import UserError
from regrow.plan import Plan, plan
from regrow.plan.speed import PEAKS, of_folders, of_gpu
from regrow.records import read_json

STUDY = "results/tiny"
SMOKE = str(ROOT / "params/smoke.yaml")


def planned(root: Path) -> Plan:
    return plan(load_params(root / "params.yaml"), root / STUDY, root / "results/data")


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_speed_is_that_of_each_stages_records(study: Path, tmp_path: Path) -> None:
    shutil.copy(study / "params.yaml", tmp_path)
    before, after = planned(tmp_path), planned(study)
    assert before.measured == {}
    assert before.hours(before.measured).isna().all()
    speeds = of_folders([study / STUDY])
    assert speeds == after.measured
    record = study / STUDY / "records/pretrain/small_s0"
    seconds = read_json(record / "provenance.json")["seconds"]
    assert speeds["pretrain"] == read_json(record / "summary.json")["flops"] / seconds
    small = before.rows.loc["pretrain/small_s0"]
    hours = before.hours(speeds)["pretrain/small_s0"]
    assert hours * 3600 == pytest.approx(seconds * (1 + small["evaluation_flops"] / small["flops"]))
    fit, made = study / STUDY / "records/grow/mango_s0", after.rows.loc["grow/mango_s0"]
    assert made["spent_hours"] * 3600 == pytest.approx(2 * read_json(fit / "provenance.json")["seconds"])
    with pytest.raises(UserError, match="nothing: no records of any training in it; name a results/<tier>, or give"):
        of_folders([study / STUDY, tmp_path / "nothing"])


def columns(printed: str) -> dict[str, float]:
    """Of the line of the sums, what the columns of hours have."""
    lines = printed.splitlines()
    heads = [head for head in lines[0].split("  ") if head]
    sums = next(line for line in lines if line.startswith("all")).split()[1:]
    row = dict(zip([head.strip() for head in heads if head.strip() not in ("Table", "Stage")], sums, strict=True))
    return {head: float(value) for head, value in row.items() if head.endswith(" hours")}


def test_a_gpu_is_priced_at_a_share_of_its_peak(nowhere: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert of_gpu("h100", 0.5) == {"all": 0.5 * 989e12}
    assert main(["plan", SMOKE, "--gpu", "h100", "a100", "--devices", "1", "8"]) == 0
    printed = capsys.readouterr().out
    assert "H100 speed: all 346 TFLOPS\nA100 speed: all 109 TFLOPS\n" in printed
    assert "GPUs: 0.35 of their makers' peak (bf16, dense), assumed until measured" in printed
    walls = [line.split(",")[0] for line in printed.splitlines() if "wall time" in line]
    assert walls == ["H100 wall time", "H100 wall time", "A100 wall time", "A100 wall time"]
    hours = columns(printed)
    assert list(hours) == ["H100 hours", "A100 hours"]
    assert hours["A100 hours"] / hours["H100 hours"] == pytest.approx(PEAKS["h100"] / PEAKS["a100"], rel=0.01)
    assert main(["plan", SMOKE, "--gpu", "h100", "--share", "0.7"]) == 0
    printed = capsys.readouterr().out
    assert "H100 speed: all 692 TFLOPS" in printed
    assert columns(printed)["H100 hours"] == pytest.approx(hours["H100 hours"] / 2, rel=0.01)


def test_storage_is_summed(nowhere: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", str(ROOT / "params/gpu.yaml"), "--throughput", "100", "--only", "target/scratch_s0"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "Data: icons-64px-val2000-s0, 733.2 MB" in lines
    assert "Storage: 0.09 GB of weights, 0.73 GB of data" in lines
    assert sum(line.startswith("Data:") for line in lines) == 1


def test_what_no_device_can_be_is_an_error(nowhere: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words, said in (
        (("--gpu", "h100", "--share", "1.5"), "--share: expected a share of the peak above 0 and at most 1, got 1.5"),
        (("--gpu", "h100", "--share", "0"), "--share: expected a share of the peak above 0 and at most 1, got 0"),
        (("--gpu", "h1000"), "--gpu: expected one of h100, h200, a100, l40s, got 'h1000'; did you mean 'h100'? Of"),
        (("--share", "0.5"), "--share: a share of a GPU's peak; give --gpu too"),
        (("--throughput", "0"), "--throughput: expected TFLOPS above 0, got 0"),
    ):
        assert main(["plan", SMOKE, *words]) == 2
        assert said in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["plan", SMOKE, "--gpu", "h100", "--throughput", "1"])


def test_without_any_speed_there_are_no_hours(nowhere: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", SMOKE]) == 0
    said = "Device speed: nothing was measured yet; give --gpu, --throughput or --device-records"
    assert said in capsys.readouterr().out
