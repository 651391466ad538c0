"""Kills at fixed moments of a small study, and what is left of it; `make kills` does it at random ones of `smoke`."""

from __future__ import annotations

import signal
import subprocess
import time
from pathlib import Path

import pytest
import yaml

from killed_study import ROOT, Moment, Study
from regrow.config import load_params
from regrow.study import runs

pytestmark = pytest.mark.workflow

MOMENTS = (
    Moment("data", "group"),
    Moment("checkpoint", "group", sign=3),
    Moment("training", "snakemake"),
    Moment("checkpoint", "server"),
    Moment("checkpoint", "job", sign=2),
    Moment("report", "group"),
)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tier of a few runs: a source, a learned growth, the grown target and scratch, and their transfers."""
    params = yaml.safe_load((ROOT / "params/smoke.yaml").read_text())
    params |= {"tier": "small", "seeds": [0]}
    params["arms"] = {arm: params["arms"][arm] for arm in ("scratch", "mango")}
    del params["learngene"]
    for stage in (
        "pretrain",
        "train",
        "transfer",
    ):  # long enough for every kill to find a run that still saves its state
        params[stage] = {**params[stage], "duration": "300 steps"}
    path = tmp_path_factory.mktemp("params") / "small.yaml"
    path.write_text(yaml.safe_dump(params))
    return path


@pytest.fixture(scope="module")
def unbroken(small: Path, tmp_path_factory: pytest.TempPathFactory) -> Study:
    study = Study(tmp_path_factory.mktemp("unbroken"), small, "results/small/REPORT.md")
    study.run()
    return study


def test_a_study_killed_in_every_phase_ends_with_the_bytes_of_an_unbroken_one(
    small: Path, unbroken: Study, tmp_path: Path
) -> None:
    study = Study(tmp_path, small, "results/small/REPORT.md")
    for moment in MOMENTS:
        code = study.kill(moment)
        assert code, f"{moment}: Snakemake's exit code {code}"
        study.unlock()
    study.resume()
    found, expected = study.outcome(), unbroken.outcome()
    assert sum(name.endswith(".safetensors") for name in expected) == len(runs(load_params(small)))
    assert "results/small/tables/growth.csv" in expected
    assert found.keys() == expected.keys(), "nothing is left of what was killed"
    assert [name for name in found if found[name] != expected[name]] == []


def test_another_interval_between_checkpoints_reruns_nothing(unbroken: Study) -> None:
    command = [*unbroken.command[:-1], "save_every=7", "-n"]
    done = subprocess.run(command, cwd=unbroken.folder, capture_output=True, text=True, check=True)
    assert "Nothing to be done" in done.stdout + done.stderr


def test_a_second_snakemake_says_so_and_harms_nothing(unbroken: Study) -> None:
    before = unbroken.outcome()
    (unbroken.results / "REPORT.md").unlink()
    began = time.time()
    first = unbroken.start()
    while not list((unbroken.folder / ".snakemake/locks").glob("*.lock")):
        assert first.poll() is None
        assert time.time() < began + 300
        time.sleep(0.05)
    first.send_signal(signal.SIGSTOP)  # or it could be done before the second has looked
    try:
        second = subprocess.run(unbroken.command, cwd=unbroken.folder, capture_output=True, text=True, check=False)
        assert second.returncode == 1
        assert "Directory cannot be locked" in second.stdout + second.stderr
        unlocked = unbroken.try_unlock()
        assert unlocked.returncode == 2
        assert f"pid {first.pid}: " in unlocked.stderr
    finally:
        first.send_signal(signal.SIGCONT)
    assert first.wait(300) == 0
    assert unbroken.outcome() == before
