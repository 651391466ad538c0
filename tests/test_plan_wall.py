"""Wall time on several devices, against schedules made by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from conftest import ROOT
from regrow.cli import main
from regrow.config import load_params
from regrow.plan.wall import wall_hours
from regrow.study import Run, runs

SMOKE = runs(load_params(ROOT / "params/smoke.yaml"))


def some(*keys: str) -> dict[str, Run]:
    return {key: run for key, run in SMOKE.items() if key in keys}


def test_a_chain_is_as_long_on_many_devices() -> None:
    chain = some("pretrain/narrow_s0", "grow/mango_s0", "target/mango_s0", "target/scratch_s0")
    hours = {"pretrain/narrow_s0": 3.0, "grow/mango_s0": 0.5, "target/mango_s0": 4.0, "target/scratch_s0": 5.0}
    assert wall_hours(chain, hours, 1) == 12.5
    assert wall_hours(chain, hours, 2) == wall_hours(chain, hours, 8) == 7.5


def test_the_run_with_most_behind_it_goes_first() -> None:
    """Both scratch runs are longer than the source, but five hours wait for the source."""
    hours = {"pretrain/narrow_s0": 2.0, "grow/mango_s0": 1.0, "target/mango_s0": 2.0}
    hours |= {"target/scratch_s0": 3.0, "target/scratch_s1": 3.0}
    assert wall_hours(some(*hours), hours, 2) == 6.0
    assert wall_hours(some(*hours), hours, 1) == 11.0


def test_alike_runs_share_the_devices() -> None:
    apart = {key: run for key, run in SMOKE.items() if not run.config.init}
    assert len(apart) >= 6
    hours = dict.fromkeys(apart, 1.0)
    assert wall_hours(apart, hours, 2) == -(-len(apart) // 2)
    whole = dict.fromkeys(SMOKE, 1.0)
    assert wall_hours(SMOKE, whole, 1) == len(SMOKE)
    assert wall_hours(SMOKE, whole, len(SMOKE)) == 4.0, "source, growth, target, transfer"


def test_the_command_prints_it_and_needs_hours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    smoke = str(ROOT / "params/smoke.yaml")
    assert main(["plan", smoke, "--throughput", "1e-6", "--devices", "1", "4"]) == 0
    one, four = [float(line.split(": ")[1].split(" hours")[0]) for line in capsys.readouterr().out.splitlines()[-2:]]
    assert one / 4 <= four < one
    assert main(["plan", smoke, "--devices", "4"]) == 2
    assert "--devices, --minutes: hours are not known; give --gpu, --throughput or" in capsys.readouterr().err
    assert main(["plan", smoke, "--throughput", "1", "--devices", "0"]) == 2
    assert "--devices: expected 1 or more, got 0" in capsys.readouterr().err
