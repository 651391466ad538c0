"""A command for so many minutes: Snakemake in a piece of time, whose jobs save their state when it is over.

The command gets a session of its own, so that one SIGINT reaches Snakemake and its jobs at once and nobody else; jobs
of the fork server get theirs passed on (`regrow.warm`). GNU timeout sends its child two signals, and a second one
would interrupt Snakemake while it waits for its jobs; nor does a Ctrl-C of the terminal reach what it starts.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from types import FrameType

from regrow.errors import UserError

GRACE = 60.0
"""Seconds to save and end in; then SIGKILL, which costs what was done since the last checkpoint."""


def run(words: Sequence[str], seconds: float) -> int:
    """Run a command for that long at most; its exit code, and 0 where the clock stopped it.

    Ctrl-C, SIGTERM and a closed terminal stop it at once in the same way, and then the exit code is its own.

    Raises:
        UserError: no such program.
    """
    asked: list[int] = []

    def ask(number: int, frame: FrameType | None) -> None:
        asked.append(number)

    previous = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        try:
            started = subprocess.Popen(words, stdin=subprocess.DEVNULL, start_new_session=True)
        except OSError as error:
            raise UserError(f"{words[0]}: expected a program, got: {error.strerror}") from error
        end = time.monotonic() + seconds
        while started.poll() is None and not asked and time.monotonic() < end:
            time.sleep(0.05)
        if started.poll() is not None:
            return _code(started)
        _stop(started)
        print(f"stopped {'by a signal' if asked else 'by the clock'}; the next piece goes on", file=sys.stderr)
        return _code(started) if asked else 0
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _stop(started: subprocess.Popen[bytes]) -> None:
    """SIGINT to all; what has not ended in time is killed."""
    os.killpg(started.pid, signal.SIGINT)
    with suppress(subprocess.TimeoutExpired):
        started.wait(GRACE)
    with suppress(ProcessLookupError):  # as it should be: the whole group has ended
        os.killpg(started.pid, signal.SIGKILL)
    started.wait()


def _code(started: subprocess.Popen[bytes]) -> int:
    return started.returncode if started.returncode >= 0 else 128 - started.returncode
