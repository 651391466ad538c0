"""A study in pieces of time: stopped by the clock, its run saves its state, and the end has an unbroken one's bytes."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import yaml

from conftest import ROOT
from killed_study import Study
from regrow import piece
from regrow.cli import main
from regrow.errors import UserError

SCRATCH = "results/small/weights/target/scratch_s0.safetensors"


def shell(script: str) -> list[str]:
    return ["bash", "-c", script]


def test_a_command_that_ends_in_time_has_its_own_exit_code() -> None:
    assert piece.run(shell("exit 0"), 60) == 0
    assert piece.run(shell("exit 3"), 60) == 3
    assert piece.run(shell("kill -TERM $$"), 60) == 143
    with pytest.raises(UserError, match="no-such-program: expected a program, got: No such file"):
        piece.run(["no-such-program"], 60)


COUNT = """
import signal, subprocess, sys, time
caught = []
signal.signal(signal.SIGINT, lambda number, frame: caught.append(number))
job = subprocess.Popen([sys.executable, __file__, *sys.argv[2:]]) if sys.argv[2:] else None
while not caught: time.sleep(0.01)
time.sleep(0.5)  # of a second signal it would know
open(sys.argv[1], "w").write(str(len(caught)))
if job: job.wait()
sys.exit(5)
"""


def test_the_clock_sends_one_sigint_to_the_command_and_its_jobs_and_is_no_failure(tmp_path: Path) -> None:
    (tmp_path / "count.py").write_text(COUNT)
    found = [str(tmp_path / name) for name in ("command", "job")]
    assert piece.run([sys.executable, str(tmp_path / "count.py"), *found], 2) == 0
    assert [Path(path).read_text() for path in found] == ["1", "1"]


def test_who_does_not_end_in_time_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(piece, "GRACE", 0.2)
    began = time.monotonic()
    script = f"trap '' INT; sleep 300 & echo $! > {tmp_path}/pid; wait"
    assert piece.run(shell(script), 0.5) == 0
    assert time.monotonic() - began < 30
    assert ended(int((tmp_path / "pid").read_text()))


def test_a_signal_stops_it_at_once(tmp_path: Path) -> None:
    script = f"trap 'exit 7' INT; touch {tmp_path}/began; while :; do sleep 0.05; done"
    command = [sys.executable, "-m", "regrow.cli", "piece", "60", *shell(script)]
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        (tmp_path / "began").unlink(missing_ok=True)
        started = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
        while not (tmp_path / "began").exists():
            assert started.poll() is None
            time.sleep(0.01)
        started.send_signal(number)
        assert "stopped by a signal; the next piece goes on" in started.communicate(timeout=60)[1]
        assert started.returncode == 7


def ended(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_the_command_needs_minutes_and_words(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["piece", "0", "true"]) == 2
    assert "minutes: expected a number above 0, got 0" in capsys.readouterr().err
    assert main(["piece", "8"]) == 2
    assert "expected a command after the minutes" in capsys.readouterr().err


def test_make_piece_runs_it() -> None:
    words = ["make", "-n", "--no-print-directory", "piece", "TIER=gpu", "PROFILE=gpu", "CORES=4", f"TARGETS={SCRATCH}"]
    said = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    unlock, command = said.replace("\\\n", "").splitlines()[-2:]
    assert unlock == "regrow unlock"
    assert command.split() == (
        f"regrow piece 8 snakemake {SCRATCH} --cores 4 --profile profiles/gpu --config params=params/gpu.yaml".split()
    )


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One run whose training is longer than all that comes before it."""
    params = yaml.safe_load((ROOT / "params/smoke.yaml").read_text())
    params |= {"tier": "small", "seeds": [0], "arms": {"scratch": params["arms"]["scratch"]}}
    params["train"]["duration"] = "2000 steps"
    del params["learngene"]
    path = tmp_path_factory.mktemp("params") / "small.yaml"
    path.write_text(yaml.safe_dump(params))
    return path


@pytest.mark.workflow
def test_a_study_in_pieces_ends_with_the_bytes_of_an_unbroken_one(long: Path, tmp_path: Path) -> None:
    """Pieces grow until one is longer than the start of a job, on a machine of any speed; that one ends in training."""
    unbroken, broken = (Study(tmp_path / name, long, SCRATCH) for name in ("unbroken", "broken"))
    for study in (unbroken, broken):
        study.command[-1] = "save_every=3600"  # a checkpoint is one that the stop has saved
    unbroken.run()
    whole, minutes, saved = broken.command, 0.08, 0
    while not (broken.folder / SCRATCH).exists():
        broken.unlock()
        broken.command = [sys.executable, "-m", "regrow.cli", "piece", f"{minutes}", *whole]
        broken.run()
        assert alone(broken.folder), "a job outlived the stop"
        until = time.monotonic() + 60
        while left := living(broken.folder):  # the fork server may still import torch before it sees its end
            assert time.monotonic() < until, left
            time.sleep(0.05)
        saved += any(broken.results.glob("work/target/scratch_s0/*checkpoint*"))
        minutes *= 1.5
    assert saved
    broken.command = whole
    broken.resume()
    assert "Nothing to be done" in broken.log.read_text()
    found, expected = broken.outcome(), unbroken.outcome()
    assert found.keys() == expected.keys()
    assert [name for name in found if found[name] != expected[name]] == []


def alone(folder: Path) -> bool:
    """Whether no Snakemake and no job holds the folder's lock."""
    with (folder / ".snakemake/regrow.lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


def living(folder: Path) -> list[str]:
    """Processes that work in the folder."""
    found = []
    for process in psutil.process_iter():
        try:
            if Path(process.cwd()) == folder and process.pid != os.getpid():
                found.append(" ".join(process.cmdline()))
        except psutil.Error:
            continue
    return found
