"""The lock of a folder that Snakemake works in: shared by all who work there, taken alone to unlock.

Snakemake's own lock files outlive a kill and do not say who wrote them. This one is the kernel's (flock): a process
holds it while it lives and no longer, however it dies. So there is no pid that could be another's by now, and it holds
between containers and, where the file system passes locks on, between hosts.
"""

from __future__ import annotations

import fcntl
import shutil
import time
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import IO

import psutil

from regrow.errors import UserError

SNAKEMAKE = ".snakemake"
LOCK = "regrow.lock"
PATIENCE = 5.0
"""Seconds to wait for processes that are dying."""


def share(folder: Path) -> IO[str] | nullcontext[None]:
    """Hold the folder's lock, with others, until what is returned is closed or the process ends.

    Does nothing where Snakemake never worked, or where the folder may not be written.
    """
    try:
        file = (folder / SNAKEMAKE / LOCK).open("a")
    except OSError:
        return nullcontext()
    with suppress(OSError):  # a file system without locks, of which `unlock` tells
        fcntl.flock(file, fcntl.LOCK_SH)
    return file


def unlock(folder: Path) -> bool:
    """Take away the locks of dead Snakemakes in `folder`; True where there were any.

    Raises:
        UserError: a Snakemake or a job works in this folder, or the file system has no locks to tell.
    """
    locks = folder / SNAKEMAKE / "locks"
    if not any(locks.glob("*.lock")):
        return False
    with (folder / SNAKEMAKE / LOCK).open("a") as file:
        _alone(file)
        shutil.rmtree(locks)
    return True


def _alone(file: IO[str]) -> None:
    end = time.monotonic() + PATIENCE
    while True:
        try:
            return fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > end:
                raise UserError(
                    f"Snakemake or one of its jobs is running here ({_holders(Path(file.name))}); wait for it or stop "
                    "it first"
                ) from None
            time.sleep(0.1)
        except OSError as error:
            raise UserError(
                f"{file.name}: cannot be locked ({error.strerror}), so a living Snakemake would not be seen; when none "
                "runs in this folder on any machine, `snakemake --unlock`"
            ) from error


def _holders(path: Path) -> str:
    """Who has the file open, as far as this process can see."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.pid != psutil.Process().pid and any(
                Path(opened.path) == path.resolve() for opened in process.open_files()
            ):
                found.append(f"pid {process.pid}: {' '.join(process.cmdline())[:60]}")
        except psutil.Error:
            continue
    return "; ".join(found) or "out of sight: in another container, on another host, or another user's"
