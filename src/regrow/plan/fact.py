"""What the records tell a plan: what was spent, and how fast a device was."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from regrow.errors import UserError
from regrow.records import read_json
from regrow.study import Run

ALL = "all"
"""In place of a stage: all of them together."""


@dataclass(frozen=True, kw_only=True)
class Spent:
    """By one run."""

    flops: int
    seconds: float


def record(results: Path, run: Run) -> dict[str, Any] | None:
    """The run's summary; None where there is none, or one of another config."""
    path = results / "records" / run.key / "summary.json"
    if not path.exists():
        return None
    summary: dict[str, Any] = read_json(path)
    return summary if run.made(summary) else None


def spent(folder: Path) -> Spent:
    """What the ledger of a record says: all fits, a teacher's forward passes, and the seconds of every device.

    Only the kept fit has its seconds on record; the others are taken to have run at its speed.
    """
    summary, made = read_json(folder / "summary.json"), read_json(folder / "provenance.json")
    seconds = made["seconds"] * made.get("processes", 1)
    flops, others = summary["flops"], summary.get("selection_flops", 0)
    fits = 1 + others / flops if flops else 1
    return Spent(flops=flops + others + summary.get("teacher_flops", 0), seconds=seconds * fits)


def speeds(records: Iterable[Path]) -> dict[str, float]:
    """FLOPs a second by stage, and of `all`, over some folders records/<stage>/<run>."""
    flops: Counter[str] = Counter()
    seconds: dict[str, float] = {}
    for folder in sorted(records):
        one = spent(folder)
        for stage in (folder.parent.name, ALL):
            flops[stage] += one.flops
            seconds[stage] = seconds.get(stage, 0.0) + one.seconds
    return {stage: flops[stage] / seconds[stage] for stage in flops if flops[stage] and seconds[stage]}


def given_speeds(throughput: float | None, devices: list[Path], own: list[Path]) -> dict[str, float]:
    """The throughput that was asked for, in FLOPs a second; else what the records in `devices`, folders of results,
    measured; else those of this tier's runs, `own`.

    Empty where nothing is known.

    Raises:
        UserError: a throughput that is not above 0, or a folder without a record of any training.
    """
    if throughput is not None:
        if not 0 < throughput < math.inf:
            raise UserError(f"--throughput: expected TFLOPS above 0, got {throughput / 1e12:g}")
        return {ALL: throughput}
    measured = {folder: [path.parent for path in folder.glob("records/*/*/summary.json")] for folder in devices}
    if empty := [folder for folder, records in measured.items() if not speeds(records)]:
        raise UserError(f"{empty[0]}: no records of any training in it; name a results/<tier>, or give --throughput")
    return speeds([record for records in measured.values() for record in records] or own)
