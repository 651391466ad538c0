"""A run of the smoke study by Snakemake through profiles/kubernetes, on a stand-in for the cluster.

Snakemake, its plugin, regrow and the trained bits are real; pods are processes of this machine, and a volume is a
folder of it. So it does not show that a real API takes the requests, nor anything of images, of a file system between
nodes, of GPUs or of limits.
"""

from __future__ import annotations

import json
import os
import re
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from killed_study import Study
from kubernetes_cluster import Cluster, Job, template, wait_for
from regrow.kubernetes import api
from regrow.records import sha256

RUN = "pretrain/narrow_s0"
WEIGHTS, RECORDS = f"results/smoke/weights/{RUN}.safetensors", f"results/smoke/records/{RUN}"
STEPS = 400
HERE = ["--profile", "profiles/kubernetes", "--latency-wait", "5", "--seconds-between-status-checks", "1"]


class OneRun(Study):
    """A study of one run that trains for some seconds."""

    def __init__(self, folder: Path, *options: str) -> None:
        super().__init__(folder, Path("params/smoke.yaml"), WEIGHTS)
        params = folder / "params/smoke.yaml"
        text, found = re.subn(r"(pretrain: &train\n +duration: )60 steps", rf"\g<1>{STEPS} steps", params.read_text())
        assert found == 1
        params.write_text(text)
        # Then a run that was told to stop has a checkpoint, and no other.
        self.command[-1] = "save_every=3600"
        self.command += options
        self.run_log = self.results / f"logs/{RUN}.log"

    def tells(self, text: str) -> bool:
        return self.run_log.exists() and text in self.run_log.read_text()


def trains(job: Job) -> bool:
    """Whether the run has begun in the Job's newest pod: only then it catches SIGTERM."""
    for process in job.pods[-1].members():
        with suppress(psutil.NoSuchProcess, FileNotFoundError):
            if Path((process.cmdline()[1:2] or [""])[0]).name == "regrow":
                caught = re.search(r"SigCgt:\s*(\w+)", Path(f"/proc/{process.pid}/status").read_text())
                return bool(caught and int(caught[1], 16) >> (signal.SIGTERM - 1) & 1)
    return False


def of_rule(cluster: Cluster, rule: str) -> list[Job]:
    return [job for name, job in cluster.jobs.items() if name.startswith(f"default/{rule}-")]


@pytest.mark.workflow
def test_an_evicted_and_a_killed_pod_go_on_from_the_checkpoint_and_end_with_the_same_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("snakemake_executor_plugin_cluster_generic")
    undisturbed = OneRun(tmp_path / "undisturbed")
    study = OneRun(tmp_path / "study", *HERE)
    profile = study.folder / "profiles/kubernetes"
    template(profile, study.folder)
    settings = (profile / "config.yaml").read_text()
    assert "device: cuda" in settings
    (profile / "config.yaml").write_text(settings.replace("device: cuda", "device: cpu"))  # the GPU is not real
    alone = undisturbed.start()
    with Cluster({"regrow": study.folder}) as cluster:
        monkeypatch.setenv(api.PROXY, cluster.address)
        monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
        snakemake = study.start()

        def until(condition: Callable[[], bool], what: str) -> None:
            wait_for(lambda: condition() or snakemake.poll() is not None, what)
            assert snakemake.poll() is None, study.log.read_text()[-3000:]

        try:
            until(lambda: bool(of_rule(cluster, "train")), "the run is submitted")
            [first] = of_rule(cluster, "train")
            until(lambda: trains(first), "the run trains")
            cluster.evict(first)
            until(lambda: study.tells("resumes at step"), "another pod of the same Job goes on")
            study.run_log.unlink()
            cluster.kill(first)
            until(lambda: study.tells("resumes at step"), "another Job goes on")
            assert snakemake.wait(120) == 0, study.log.read_text()[-3000:]
            assert alone.wait(120) == 0, undisturbed.log.read_text()[-3000:]
        finally:
            for process in (snakemake, alone):
                process.kill()
                process.wait()
        assert [len(job.pods) for job in of_rule(cluster, "train")] == [2, 1]
        assert [job.container["resources"]["limits"] for job in of_rule(cluster, "train")] == [
            {"memory": "8001M", "nvidia.com/gpu": "1"}  # 4 GB and the digits
        ] * 2
        assert [job.container["resources"]["limits"] for job in of_rule(cluster, "pack")] == [{"memory": "8000M"}]
    assert json.loads((study.folder / RECORDS / "provenance.json").read_text())["resumes"]
    for path in (WEIGHTS, f"{RECORDS}/metrics.jsonl", f"{RECORDS}/summary.json"):
        assert sha256(study.folder / path) == sha256(undisturbed.folder / path), path
