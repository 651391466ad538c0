"""The numbers just made beside the committed ones."""

from __future__ import annotations

import io
import math
import subprocess
from collections import Counter
from pathlib import Path

import pandas as pd
from rich.console import Console
from rich.table import Table

from regrow.errors import UserError
from regrow.report.estimate import number

KEYS = {
    "growth.csv": ["arm"],
    "transfer.csv": ["arm", "data"],
    "descendants.csv": ["arm", "depth"],
    "descendants_transfer.csv": ["arm", "depth", "data"],
    "runs.csv": ["stage", "run"],
}
COMPARED = ("growth.csv", "transfer.csv", "descendants.csv", "descendants_transfer.csv")
"""The tables whose means are compared; every tier has the first of them."""
STYLES = {"identical": "green", "within the interval": "yellow", "outside": "red"}
SUFFIX = "_mean"


def compare(results: Path, revision: str) -> None:
    """Print a row a number: committed, just made, and a verdict; then how many of each and if the bits agree.

    Verdicts: `identical`; `within the interval`: the new mean lies in the committed 95 % interval;
    `outside`, also where there is no interval (one seed, a miss); `not committed` and `not made` where one
    side lacks the row.

    Raises:
        UserError: growth.csv or runs.csv is not in git at that revision, or not on disk.
    """
    console = Console(width=None if Console().is_terminal else 120)
    table = Table()
    for column in ("row", "number", "committed", "just made", "verdict"):
        table.add_column(column, justify="right" if column in ("committed", "just made") else "left", overflow="fold")
    verdicts: Counter[str] = Counter()
    for name in COMPARED:
        path = results / "tables" / name
        made, committed = path.exists(), _in_git(path, revision)
        if name != COMPARED[0] and not (made or committed):
            continue
        new = _made(path) if made or name == COMPARED[0] else _committed(path, revision).iloc[:0]
        old = _committed(path, revision) if committed or name == COMPARED[0] else new.iloc[:0]
        for row, column, before, now, verdict in differences(old, new):
            verdicts[verdict] += 1
            table.add_row(row, column, before, now, f"[{STYLES.get(verdict, 'magenta')}]{verdict}[/]")
    console.print(f"{results}: the tables at {revision} and those just made", soft_wrap=True, markup=False)
    console.print(table)
    counts = ", ".join(f"{count} {verdict}" for verdict, count in verdicts.items())
    bits = _bits(results / "tables" / "runs.csv", revision)
    console.print(f"{verdicts.total()} numbers: {counts}; {bits}", soft_wrap=True, markup=False)


def differences(old: pd.DataFrame, new: pd.DataFrame) -> list[tuple[str, str, str, str, str]]:
    """Row, number, committed, just made, verdict: for every mean that either side has."""
    columns = [name for name in dict.fromkeys([*old.columns, *new.columns]) if name.endswith(SUFFIX)]
    found = []
    for row in dict.fromkeys([*old.index, *new.index]):
        name = " ".join(map(str, row)) if isinstance(row, tuple) else str(row)
        for column in columns:
            before, now = _cell(old, row, column), _cell(new, row, column)
            base = column.removesuffix(SUFFIX)
            interval = (_cell(old, row, f"{base}_low"), _cell(old, row, f"{base}_high"))
            verdict = _verdict(before, now, interval)
            found.append((name, base.replace("_", " "), _text(before), _text(now), verdict))
    return found


def _verdict(before: float | None, now: float | None, interval: tuple[float | None, float | None]) -> str:
    if before is None:
        return "not committed"
    if now is None:
        return "not made"
    if before == now or (math.isnan(before) and math.isnan(now)):
        return "identical"
    low, high = interval
    return "within the interval" if low is not None and high is not None and low <= now <= high else "outside"


def _cell(frame: pd.DataFrame, row: object, column: str) -> float | None:
    """A number of a table; None where it has no such row or column."""
    return float(frame[column].to_dict()[row]) if row in frame.index and column in frame.columns else None


def _text(value: float | None) -> str:
    return "" if value is None else number(value, 3)


def _bits(path: Path, revision: str) -> str:
    """Whether every run's weights have the committed hash."""
    old, new = _committed(path, revision)["weights_sha256"], _made(path)["weights_sha256"]
    keys = dict.fromkeys([*old.index, *new.index])
    same = sum(key in old.index and key in new.index and old[key] == new[key] for key in keys)
    verdict = "bit-identical" if same == len(keys) else "bits differ"
    return f"weights: {verdict} ({same} of {len(keys)} runs have the committed hash)"


def _made(path: Path) -> pd.DataFrame:
    if not path.exists():
        raise UserError(f"{path}: no such table; `snakemake` makes it, or `regrow report` where the records are there")
    return pd.read_csv(path).set_index(KEYS[path.name])


def _committed(path: Path, revision: str) -> pd.DataFrame:
    done = _git_show(path, revision)
    if done.returncode:
        raise UserError(
            f"{path}: git has no such table at {revision!r} ({done.stderr.decode(errors='replace').strip()}); "
            "commit the tables first, or name a revision that has them with --revision"
        )
    return pd.read_csv(io.BytesIO(done.stdout)).set_index(KEYS[path.name])


def _in_git(path: Path, revision: str) -> bool:
    return _git_show(path, revision).returncode == 0


def _git_show(path: Path, revision: str) -> subprocess.CompletedProcess[bytes]:
    folder = path.parent
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; `snakemake` makes it")
    try:
        return subprocess.run(
            ["git", "show", f"{revision}:./{path.name}"], cwd=folder, capture_output=True, check=False
        )
    except FileNotFoundError as error:
        raise UserError("git is not installed; `regrow compare` reads the committed tables with it") from error
