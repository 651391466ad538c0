"""Seconds that `snakemake -n` takes to plan a study of so many jobs: a tier of params/ with more seeds.

    python benchmarks/planning.py --jobs 500 1000 5000

Each study is planned in a fresh copy of the workflow, where nothing is done yet, so that every job is in the plan.
run is two jobs: its config and its training. Start-up is a plan of the params file's first arm alone.
"""

from __future__ import annotations

import argparse
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]
WORKFLOW = ("Snakefile", "workflow", "profiles", "params")


def main() -> None:
    """Print one line for each size."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, nargs="+", default=[500, 1000, 5000])
    parser.add_argument("--tier", default="paper-ti", help="the params file whose study gets more seeds")
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = checkout(Path(scratch))
        per_seed = [plan(folder, arguments.tier, seeds)[0] for seeds in (1, 2)]
        each = per_seed[1] - per_seed[0]
        sizes = [max(1, round((jobs - per_seed[0]) / each) + 1) for jobs in arguments.jobs]
        turns = [[plan(folder, arguments.tier, seeds) for seeds in sizes] for _ in range(arguments.repeats)]
    for found in zip(*turns, strict=True):
        jobs, wall, cpu = zip(*found, strict=True)
        each_ms = 1e3 * statistics.median(cpu) / jobs[0]
        print(f"{jobs[0]} jobs: wall {spread(wall)} s, CPU {spread(cpu)} s, {each_ms:.1f} ms of CPU a job", flush=True)


def checkout(folder: Path) -> Path:
    """The workflow and the params files, without results."""
    for name in WORKFLOW:
        source = ROOT / name
        shutil.copytree(source, folder / name) if source.is_dir() else shutil.copy(source, folder / name)
    return folder


def plan(folder: Path, tier: str, seeds: int) -> tuple[int, float, float]:
    """The jobs that a dry run counts, its wall and its CPU seconds."""
    params = yaml.safe_load((ROOT / f"params/{tier}.yaml").read_text())
    path = folder / f"params/{seeds}.yaml"
    path.write_text(yaml.safe_dump(params | {"tier": f"seeds{seeds}", "seeds": list(range(seeds))}, sort_keys=False))
    command = [
        sys.executable,
        "-m",
        "snakemake",
        "-n",
        "--cores",
        "1",
        "--config",
        f"params={path.relative_to(folder)}",
    ]
    start, used = time.perf_counter(), cpu_seconds()
    done = subprocess.run(
        [*command, "--quiet", "host", "reason"], cwd=folder, capture_output=True, text=True, check=True
    )
    wall, cpu = time.perf_counter() - start, cpu_seconds() - used
    total = re.findall(r"^total +(\d+)$", done.stdout, re.MULTILINE)
    return int(total[-1]), wall, cpu


def cpu_seconds() -> float:
    """Of all processes that were started here and have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def spread(values: Sequence[float]) -> str:
    """Median and range."""
    return f"{statistics.median(values):.1f} ({min(values):.1f}-{max(values):.1f})"


if __name__ == "__main__":
    main()
