"""`regrow unlock`: take away the lock that a killed Snakemake left, unless a living one holds it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import psutil

from regrow.errors import UserError


def unlock(folder: Path) -> bool:
    """Remove a dead run's lock in `folder`; True where there was one.

    Raises:
        UserError: a living Snakemake works in this folder.
    """
    if not any((folder / ".snakemake" / "locks").glob("*.lock")):
        return False
    if holders := snakemakes(folder):
        raise UserError(f"{folder}: Snakemake is running here (pid {holders[0]}); wait for it or stop it first")
    subprocess.run([sys.executable, "-m", "snakemake", "--unlock"], cwd=folder, check=True, capture_output=True)
    return True


def snakemakes(folder: Path) -> list[int]:
    """The pids of the living Snakemake processes that work in `folder`."""
    found = []
    for process in psutil.process_iter():
        try:
            if (
                any("snakemake" in Path(word).name for word in process.cmdline()[:3])
                and Path(process.cwd()) == folder.resolve()
            ):
                found.append(process.pid)
        except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
            continue
    return found
