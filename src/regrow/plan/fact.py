"""What the records tell a plan: which runs are done, and what was spent."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from regrow.records import read_json
from regrow.study import Run


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
