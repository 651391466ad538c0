"""The pipeline in a folder of its own: killed at a chosen moment, resumed as `make resume` does, compared by its bytes.

`make kills` does it at 20 random moments of the smoke study, and reports them.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import Literal, get_args

import psutil

from regrow.records import sha256

ROOT = Path(__file__).parents[1]
COPIED = ("Snakefile", "profiles", "workflow", "params", "README.md", "pyproject.toml")
SAVE_EVERY = 0.05
"""Seconds between two checkpoints: of a toy run there would be none."""
LIMIT = 1200.0
"""Seconds that nothing may take, on a busy machine too."""

Phase = Literal["data", "training", "checkpoint", "report"]
PHASES: tuple[Phase, ...] = ("data", *("training", "checkpoint") * 4, "report")
"""In the order of the DAG; a study of random kills goes through all of them."""
Victim = Literal["group", "snakemake", "job", "server"]
SIGNS: dict[Phase, str] = {
    "data": "logs/data/*.log",
    "training": "logs/[glpt]*/*.log",
    "checkpoint": "work/*/*/*checkpoint*.fresh*",
    "report": "logs/report.log",
}
"""A new file of this pattern, in the results, shows that the phase has begun."""


Choose = Callable[[list[psutil.Process]], psutil.Process]


@dataclass(frozen=True)
class Moment:
    """When to kill, and whom: the process group, Snakemake alone, a job's process, the fork server."""

    phase: Phase
    victim: Victim
    sign: int = 1
    """The kill comes after that many new files of the phase,"""
    delay: float = 0.0
    """and that many seconds."""

    def __str__(self) -> str:
        return f"{self.victim:9} in {self.phase:10} file {self.sign} + {self.delay:.2f} s"


class Study:
    """A study in a copy of the checkout."""

    def __init__(self, folder: Path, params: Path = Path("params/smoke.yaml"), *targets: str) -> None:
        self.folder = folder
        self.tier = params.stem
        self.results = folder / "results" / self.tier
        folder.mkdir(exist_ok=True)
        for name in COPIED:
            source = ROOT / name
            shutil.copytree(source, folder / name) if source.is_dir() else shutil.copy(source, folder / name)
        if params.is_absolute():
            shutil.copy(params, folder / "params")
        configured = [f"params=params/{params.name}", f"save_every={SAVE_EVERY}"]
        self.command = [sys.executable, "-m", "snakemake", *targets, "--cores", "2", "--config", *configured]
        self.log = folder / "snakemake.log"

    def start(self) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            return subprocess.Popen(
                self.command, cwd=self.folder, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
            )

    def run(self) -> None:
        """To the end, without a kill."""
        code = self.start().wait(LIMIT)
        assert code == 0, self.log.read_text()[-3000:]

    def kill(self, moment: Moment, choose: Choose = itemgetter(0), patience: float = LIMIT) -> int | None:
        """Start and kill at the moment; Snakemake's exit code, or None where it ended before.

        A Snakemake that outlives the kill of a job goes on with the others; after `patience` seconds all are killed.
        """
        began = time.time()
        seen: set[Path] = set()
        snakemake = self.start()
        try:
            while len(seen) < moment.sign:
                seen |= self._signs(moment.phase, began)
                if snakemake.poll() is not None:
                    return None
                assert time.time() < began + LIMIT, f"no {moment}"
                time.sleep(0.002 if moment.phase == "checkpoint" else 0.05)
            time.sleep(moment.delay)
            struck = self._strike(snakemake, moment.victim, choose)
            with suppress(subprocess.TimeoutExpired):
                snakemake.wait(patience)
        finally:
            if snakemake.poll() is None:
                os.killpg(snakemake.pid, signal.SIGKILL)
            snakemake.wait()
        return snakemake.returncode if struck else None

    def resume(self) -> None:
        """What `make resume` does."""
        self.unlock()
        self.run()

    def unlock(self) -> None:
        """`regrow unlock`; while jobs still run that outlive their Snakemake, wait for them, as its message says."""
        end = time.time() + LIMIT
        while (done := self.try_unlock()).returncode:
            assert "wait for it" in done.stderr, done.stderr
            assert time.time() < end, done.stderr

    def try_unlock(self) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "regrow.cli", "unlock"]
        return subprocess.run(command, cwd=self.folder, capture_output=True, text=True, check=False)

    def outcome(self) -> dict[str, str]:
        """The sha256 of all that a killed study must share with an unbroken one, and of what it must not leave.

        Left out is what tells of this machine's time: provenance, the tables of seconds, logs.
        """
        files = [path for path in sorted((self.folder / "results").rglob("*")) if path.is_file()]
        return {
            path.relative_to(self.folder).as_posix(): sha256(path)
            for path in files
            if not ("logs" in path.parts or path.name == "provenance.json" or path.name.startswith("seconds"))
        }

    def _signs(self, phase: Phase, began: float) -> set[Path]:
        found = set()
        for path in self.results.glob(SIGNS[phase]):
            with suppress(FileNotFoundError):  # a temporary file, renamed by now
                if path.stat().st_mtime > began:
                    found.add(path)
        return found

    def _strike(self, snakemake: subprocess.Popen[bytes], victim: Victim, choose: Choose) -> bool:
        if snakemake.poll() is not None:
            return False
        if victim == "group":
            os.killpg(snakemake.pid, signal.SIGKILL)
        elif victim == "snakemake":
            snakemake.kill()
        else:  # between two jobs there is none: wait for the next
            below = psutil.Process(snakemake.pid)
            while not (found := [one for one in below.children(recursive=True) if _is(one, victim)]):
                if snakemake.poll() is not None:
                    return False
                time.sleep(0.01)
            choose(found).kill()
        return True


def _is(process: psutil.Process, victim: Victim) -> bool:
    """Whether a process below Snakemake is a job's or the fork server; a server's children are jobs."""
    try:
        words = process.cmdline()
        server = "regrow.warm" in words and "regrow.warm" not in process.parent().cmdline()
    except (psutil.Error, AttributeError):
        return False
    if victim == "server":
        return server
    return not server and any("regrow" in Path(word).name for word in words[:3]) and "bash" not in words[0]


def random_moment(generator: random.Random, phase: Phase) -> Moment:
    """Any of the phase's files, any process, any tenth of a second."""
    last = {"data": 1, "training": 8, "checkpoint": 12, "report": 1}[phase]
    delay = 0.0 if phase == "checkpoint" else generator.uniform(0, 4)
    return Moment(phase, generator.choice(get_args(Victim)), generator.randint(1, last), delay)


def main() -> int:
    """Kill the smoke study at random moments, up to ten a study, and compare; exit code 1 where anything differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--moments", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    generator = random.Random(arguments.seed)
    killed = differences = 0
    with tempfile.TemporaryDirectory(prefix="kills-") as temporary:
        unbroken = Study(Path(temporary) / "unbroken")
        began = time.time()
        unbroken.run()
        expected = unbroken.outcome()
        print(f"unbroken: {len(expected)} files, {time.time() - began:.0f} s", flush=True)
        for number in range(arguments.moments):
            if killed >= arguments.moments:
                break
            study = Study(Path(temporary) / f"study{number}")
            for phase in PHASES:
                moment = random_moment(generator, phase)
                code = study.kill(moment, generator.choice, patience=15) if killed < arguments.moments else None
                if code is not None:
                    killed += 1
                    print(f"kill {killed:2}  study {number}  {moment}  snakemake's exit code {code}", flush=True)
                    study.unlock()
            study.resume()
            found = study.outcome()
            wrong = sorted(name for name in found.keys() | expected.keys() if found.get(name) != expected.get(name))
            differences += len(wrong)
            print(f"study {number} resumed: {len(found)} files, {len(wrong)} differ {wrong[:5]}", flush=True)
            shutil.rmtree(study.folder)
    print(f"{killed} kills, {differences} differences", flush=True)
    return min(differences, 1)


if __name__ == "__main__":
    sys.exit(main())
