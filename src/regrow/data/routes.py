"""Several routes to the same verified bytes: the first that works is taken, a failed one is told."""

from __future__ import annotations

import logging
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from regrow.errors import UserError

T = TypeVar("T")
Route = tuple[str, Callable[[], T]]

log = logging.getLogger(__name__)

COMMAND_SECONDS = 1800


class RouteFailed(Exception):
    """One route did not bring the bytes expected; the next one is tried."""


class NotThere(RouteFailed):
    """The route does not exist on this machine: no such folder, program or package."""


def first_that_works(what: str, routes: Sequence[Route[T]], cure: str) -> T:
    """The result of the first route that does not raise RouteFailed.

    Raises:
        UserError: every route failed; it names what was wanted, every reason and the cure.
    """
    reasons = []
    for name, route in routes:
        try:
            return route()
        except RouteFailed as failure:
            reasons.append(f"{name}: {failure}")
            log.log(
                logging.INFO if isinstance(failure, NotThere) else logging.WARNING,
                "%s: %s",
                what,
                reasons[-1],
            )
    raise UserError(
        "\n  ".join([f"{what}: expected to get it in one of {len(routes)} ways, but", *reasons]) + f"\n{cure}"
    )


def command(words: Sequence[str], folder: Path) -> None:
    """Run a program inside `folder`; RouteFailed with the end of what it said if it is absent or fails."""
    try:
        done = subprocess.run(
            words,
            cwd=folder,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=COMMAND_SECONDS,
            check=False,
        )
    except FileNotFoundError as error:
        raise NotThere(f"{words[0]} is not installed") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise RouteFailed(f"{words[0]} did not run: {error}") from error
    if done.returncode:
        said = " | ".join((done.stderr or done.stdout).strip().splitlines()[-3:])
        raise RouteFailed(f"{' '.join(words[:3])} ended with {done.returncode}: {said or 'no message'}")
