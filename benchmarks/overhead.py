"""Wall time of a finished study against its jobs' own time on as many cores: what the workflow adds.

Snakemake's metadata has each job's start and end. A job's own time is that less what a job costs that does nothing,
which is measured here, with the fork server and without. Run it after one uninterrupted `snakemake` from packed data.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from timing import spread

from regrow import warm
from regrow.config import load_params
from regrow.study import runs


def jobs(results: Path) -> dict[str, tuple[float, float]]:
    """Start and end of every job that wrote something of this study, by its log file."""
    found = {}
    for path in Path(".snakemake/metadata").iterdir():
        record = json.loads(path.read_text())
        if any(Path(log).is_relative_to(results) for log in record.get("log") or []) and record["rule"] != "config":
            found[record["log"][0]] = (record["starttime"], record["endtime"])
    return found


def nothing(folder: Path) -> float:
    """Seconds of a `regrow run` that ends after it has imported all it needs: its packed set is missing."""
    config, empty = next(Path(folder / "configs/target").iterdir()), Path(tempfile.mkdtemp())
    command = [
        "regrow",
        "run",
        str(config),
        "--data",
        str(empty),
        "--weights",
        str(empty / "w"),
        "--records",
        str(empty),
    ]
    start = time.perf_counter()
    done = subprocess.run(command, capture_output=True)
    assert done.returncode == 2, done.stderr
    return time.perf_counter() - start


def main() -> None:
    """Print the three figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("params", type=Path, nargs="?", default=Path("params/mini.yaml"))
    parser.add_argument("--cores", type=int, default=2, help="the --cores of the run that is looked at")
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    os.environ["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    study = load_params(arguments.params)
    results = Path("results") / study.tier
    times = jobs(results)
    alone = [nothing(results) for _ in range(arguments.repeats)]
    warm.start()
    nothing(results)
    forked = [nothing(results) for _ in range(arguments.repeats)]
    trained = len(runs(study))
    inside = sum(end - start for start, end in times.values())
    wall = max(end for _, end in times.values()) - min(start for start, _ in times.values())
    own = inside - trained * sorted(forked)[len(forked) // 2]
    print(f"a run that does nothing: by itself {spread(alone)} s, forked {spread(forked)} s")
    print(f"{len(times)} jobs, {trained} of them runs: {inside:.0f} s from start to end, {own:.0f} s of their own")
    print(f"wall {wall:.0f} s on {arguments.cores} cores: {wall / (own / arguments.cores):.2f} x their own time")


if __name__ == "__main__":
    main()
