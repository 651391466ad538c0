"""GPU slots with ids that no CUDA ever sees: never two runs on one, and a killed run leaves none; who asks for them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from conftest import ROOT
from regrow.cli import main

# Marks the GPU as in use, exclusively, while the process has it; a second user of it fails.
JOB = """
import os, sys, time
from pathlib import Path
from regrow.gpu import hold_gpu
gpu = hold_gpu()
assert os.environ["CUDA_VISIBLE_DEVICES"] == gpu
mark = Path(sys.argv[1]) / gpu
mark.touch(exist_ok=False)
time.sleep(0.05)
mark.unlink()
print(gpu)
"""
HOLD = "from regrow.gpu import hold_gpu; print(hold_gpu(), flush=True); import time; time.sleep(60)"
HOLD_TWO = HOLD.replace("hold_gpu()", "hold_gpu(2)")


def environment(folder: Path, gpus: str) -> dict[str, str]:
    return {**os.environ, "CUDA_VISIBLE_DEVICES": gpus, "TMPDIR": str(folder)}


def test_many_runs_never_share_a_gpu(tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    marks.mkdir()

    def job(_: int) -> str:
        command = [sys.executable, "-c", JOB, str(marks)]
        done = subprocess.run(
            command, env=environment(tmp_path, "0,GPU-5a,7"), capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    with ThreadPoolExecutor(8) as pool:
        taken = list(pool.map(job, range(24)))
    assert set(taken) == {"0", "GPU-5a", "7"}


def test_a_killed_runs_gpu_is_free_at_once(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD], env=environment(tmp_path, "3"), stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == "3\n"
        with subprocess.Popen(
            [sys.executable, "-c", HOLD], env=environment(tmp_path, "3"), stdout=subprocess.PIPE, text=True
        ) as waiter:
            with pytest.raises(subprocess.TimeoutExpired):
                waiter.wait(2)
            holder.kill()
            assert waiter.stdout
            assert waiter.stdout.readline() == "3\n"
            waiter.kill()


def test_so_many_runs_share_a_gpu_and_an_empty_one_goes_first(tmp_path: Path) -> None:
    with ExitStack() as stack:
        holders = []
        for _ in range(5):
            command = [sys.executable, "-c", HOLD_TWO]
            one = subprocess.Popen(command, env=environment(tmp_path, "0,1"), stdout=subprocess.PIPE, text=True)
            stack.enter_context(one)
            stack.callback(one.kill)
            assert one.stdout
            if len(holders) < 4:
                holders.append((one, one.stdout.readline().strip()))
        assert [gpu for _, gpu in holders] == ["0", "1", "0", "1"]
        with pytest.raises(subprocess.TimeoutExpired):
            one.wait(2)
        holders[1][0].kill()
        assert one.stdout.readline() == "1\n"


def test_without_a_gpu_the_message_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["config", str(ROOT / "params/smoke.yaml"), "target/mango_s1"]) == 0
    config = tmp_path / "config.json"
    config.write_text(capsys.readouterr().out)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    files = ["--data", "data", "--weights", "weights", "--records", "records"]
    assert main(["run", str(config), *files, "--device", "free-cuda"]) == 2
    assert "no GPU is visible here; use --device cpu" in capsys.readouterr().err
    assert main(["run", str(config), *files, "--device", "free-cuda", "--processes", "2"]) == 2
    assert "with --processes give --device cuda" in capsys.readouterr().err


@pytest.mark.workflow
@pytest.mark.parametrize(
    ("profile", "device", "plugin"),
    [
        ("default", "cpu", ""),
        ("gpu", "free-cuda", ""),
        ("slurm", "cuda", "slurm"),
        ("kubernetes", "cuda", "cluster_generic"),
    ],
)
def test_a_profile_says_what_a_run_computes_on(profile: str, device: str, plugin: str, tmp_path: Path) -> None:
    if plugin:
        pytest.importorskip(f"snakemake_executor_plugin_{plugin}")
    for name in ("params", "profiles", "workflow"):
        shutil.copytree(ROOT / name, tmp_path / name)
    shutil.copy(ROOT / "Snakefile", tmp_path)
    command = [sys.executable, "-m", "snakemake", "-n", "-p", "--cores", "1", "--profile", f"profiles/{profile}"]
    target = "results/smoke/weights/pretrain/narrow_s0.safetensors"
    done = subprocess.run(
        [*command, "--config", "params=params/smoke.yaml", "--", target],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert f" --device {device} " in done.stdout + done.stderr
