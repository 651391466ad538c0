"""Progress of a long loop: a bar on a terminal, a line every few seconds in a log."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")

SECONDS_BETWEEN_LINES = 5.0


def track(items: Sequence[T], label: str) -> Iterator[T]:
    """Yield `items` one by one and tell on stderr how far it is."""
    return _bar(items, label) if sys.stderr.isatty() else _lines(items, label)


def _bar(items: Sequence[T], label: str) -> Iterator[T]:
    from rich.console import Console
    from rich.progress import track as bar

    yield from bar(items, description=label, console=Console(stderr=True))


def _lines(items: Sequence[T], label: str) -> Iterator[T]:
    start = last = time.monotonic()
    for done, item in enumerate(items):
        now = time.monotonic()
        if now - last >= SECONDS_BETWEEN_LINES:
            left = (now - start) / done * (len(items) - done)
            print(f"{label}: {done:,} of {len(items):,}, about {left:.0f} s left", file=sys.stderr, flush=True)
            last = now
        yield item
