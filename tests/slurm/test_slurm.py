"""The smoke study on a real Slurm: jobs are cancelled, preempted and sent again, and the bits stay the same.

It starts daemons as root and takes minutes, so it runs when asked for:  REGROW_SLURM=1 pytest tests/slurm
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from conftest import ROOT
from regrow.config import load_params
from regrow.records import sha256
from regrow.study import runs

CLUSTER = Path(__file__).with_name("cluster")
COPIED = ("Snakefile", "profiles", "workflow", "params")
SMOKE = ("--config", "params=params/smoke.yaml")
# This cluster has no accounting and no real GPU; asking often makes the test short.
HERE = (
    *("--slurm-no-account", "--slurm-status-command", "squeue", "--slurm-init-seconds-before-status-checks", "2"),
    *("--set-resources", "train:gpu=1", "train:device=cpu", "--latency-wait", "5"),
)
TEACHER = "results/smoke/{}/teacher/test-resnet_s0"


def unavailable() -> str | None:
    """Why the tests cannot run here."""
    if not os.environ.get("REGROW_SLURM"):
        return "starts a Slurm cluster; asked for by REGROW_SLURM=1"
    if os.geteuid() != 0:
        return "only root can start slurmd"
    if not all(shutil.which(tool) for tool in ("munged", "slurmctld", "slurmd")):
        return "Slurm is not installed: apt-get install slurm-wlm munge"
    if not importlib.util.find_spec("snakemake_executor_plugin_slurm"):
        return "Snakemake's Slurm plugin is not installed: pip install 'regrow[slurm]'"
    return None


REASON = unavailable()
pytestmark = pytest.mark.skipif(REASON is not None, reason=REASON or "")


@pytest.fixture(scope="module", autouse=True)
def _cluster() -> Iterator[None]:
    try:
        subprocess.run([CLUSTER, "start"], check=True)
        yield
    finally:
        subprocess.run([CLUSTER, "stop"], check=True)


def checkout(folder: Path) -> Path:
    """A copy of the workflow whose teacher trains long enough to be interrupted."""
    for name in COPIED:
        source = ROOT / name
        shutil.copytree(source, folder / name) if source.is_dir() else shutil.copy(source, folder / name)
    params = folder / "params/smoke.yaml"
    text, found = re.subn(r"(teacher:\n.*\n +recipe: \{duration: )60 steps", r"\g<1>4000 steps", params.read_text())
    assert found == 1
    params.write_text(text)
    return folder


def snakemake(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "snakemake", *arguments, *SMOKE]
    with (folder / "snakemake.log").open("w") as log:
        return subprocess.Popen(command, cwd=folder, stdout=log, stderr=subprocess.STDOUT, text=True)


def finish(folder: Path, running: subprocess.Popen[str]) -> str:
    """Its log, when it has ended well."""
    try:
        code = running.wait(timeout=3600)
    finally:
        running.kill()
    log = (folder / "snakemake.log").read_text()
    assert code == 0, log[-4000:]
    return log


def wait_for(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 180
    while not condition():
        assert time.monotonic() < deadline, f"not within three minutes: {what}"
        time.sleep(0.2)


def queue(*options: str) -> list[str]:
    command = ["squeue", "--noheader", "--format=%i %k", *options]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()


def teachers_job() -> str:
    """The Slurm job that trains the teacher now."""
    found = [line.split()[0] for line in queue("--states=RUNNING", "--partition=jobs") if "teacher" in line]
    return found[0] if found else ""


def fork_servers(folder: Path) -> list[int]:
    """The pids of `regrow.warm` in `folder`: it is for jobs of this machine, out of the cluster's sight."""
    listed = [process for process in psutil.process_iter(["cmdline", "cwd"]) if process.info["cwd"] == str(folder)]
    return [process.pid for process in listed if "regrow.warm" in process.info["cmdline"]]


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the teacher was trained by Slurm, cancelled once and preempted once."""
    folder = checkout(tmp_path_factory.mktemp("slurm"))
    weights = TEACHER.format("weights") + ".safetensors"
    log = folder / (TEACHER.format("logs") + ".log")
    running = snakemake(folder, "--profile", "profiles/slurm", *HERE, weights)
    try:
        wait_for(lambda: log.exists() and " step " in log.read_text(), "the teacher trains")
        assert not fork_servers(folder)
        cancelled = teachers_job()
        subprocess.run(["scancel", cancelled], check=True)
        wait_for(lambda: log.exists() and "resumes at step" in log.read_text(), "the job is sent again")
        preempted = teachers_job()
        assert preempted not in ("", cancelled)
        wait_for(lambda: log.read_text().count(" step ") > 1, "the teacher trains on")
        urgent = ["sbatch", "--partition=urgent", "--exclusive", "--output=/dev/null", "--wrap=sleep 3"]
        subprocess.run(urgent, check=True, capture_output=True)
        wait_for(lambda: teachers_job() != preempted, "the urgent job takes the node")
        wait_for(lambda: teachers_job() == preempted, "the same job comes back")
        finish(folder, running)
    finally:
        running.kill()
    return folder


def test_a_cancelled_and_preempted_job_goes_on_and_ends_with_the_same_bits(interrupted: Path, tmp_path: Path) -> None:
    provenance = json.loads((interrupted / TEACHER.format("records") / "provenance.json").read_text())
    assert provenance["resumes"] == 2
    undisturbed = checkout(tmp_path)
    wanted = TEACHER.format("weights") + ".safetensors"
    finish(undisturbed, snakemake(undisturbed, "--cores", "2", wanted))
    for path in (wanted, TEACHER.format("records") + "/metrics.jsonl", TEACHER.format("records") + "/summary.json"):
        assert sha256(interrupted / path) == sha256(undisturbed / path), path


def test_the_smoke_study_ends_complete_on_slurm(interrupted: Path) -> None:
    log = finish(interrupted, snakemake(interrupted, "--profile", "profiles/slurm", *HERE))
    assert log.count("has been submitted with SLURM jobid") >= len(runs(load_params(interrupted / "params/smoke.yaml")))
    for key in runs(load_params(interrupted / "params/smoke.yaml")):
        assert (interrupted / f"results/smoke/records/{key}/summary.json").exists(), key
    assert (interrupted / "results/smoke/REPORT.md").exists()
    assert queue() == []
