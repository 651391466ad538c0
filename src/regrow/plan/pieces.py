"""A study in windows of time on one device: what each piece makes.

A run that a piece stops goes on from its checkpoint in the next one. Snakemake takes runs in the
same order, as far as what they start from is there.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import groupby

WHOLE, START, MORE, REST = "", "start of ", "more of ", "rest of "
PARTS = {(True, True): WHOLE, (True, False): START, (False, False): MORE, (False, True): REST}
"""What of a run a piece has, by whether the run begins and ends in it."""


@dataclass
class Piece:
    """One window: its minutes, and the parts of runs in it, in order."""

    minutes: float = 0.0
    parts: list[tuple[str, str]] = field(default_factory=list)
    """`WHOLE`, `START`, `MORE` or `REST`, and the run's key."""

    def __str__(self) -> str:
        """Whole runs by stage, between what goes on from the piece before and what goes on in the next."""
        keys = [key for part, key in self.parts if part == WHOLE]
        said = [_folded(stage, [key for key in keys if key.startswith(f"{stage}/")]) for stage in _stages(keys)]
        before = [part + key for part, key in self.parts if part in (MORE, REST)]
        return ", ".join([*before, *said, *(part + key for part, key in self.parts if part == START)])


def fill(minutes: Mapping[str, float], length: float) -> list[Piece]:
    """Pieces of that many minutes, filled with runs of so many in their order."""
    found = [Piece()]
    for key, whole in minutes.items():
        left, ends = whole, False
        while not ends:
            if math.isclose(found[-1].minutes, length):
                found.append(Piece())
            room = length - found[-1].minutes
            ends = left < room or math.isclose(left, room)
            here = left if ends else room
            found[-1].parts.append((PARTS[left == whole, ends], key))
            found[-1].minutes += here
            left -= here
    return [piece for piece in found if piece.parts]


def lines(found: list[Piece]) -> Iterator[str]:
    """Number, minutes and runs; pieces that say the same are one line."""
    numbered = list(enumerate(found, 1))
    yield f"{'Pieces':>15}  Minutes  Runs"
    for (said, minutes), alike in groupby(numbered, lambda piece: (str(piece[1]), f"{piece[1].minutes:.1f}")):
        numbers = [number for number, _ in alike]
        number = str(numbers[0]) if len(numbers) == 1 else f"{numbers[0]} .. {numbers[-1]}"
        yield f"{number:>15}  {minutes:>7}  {said}"


def _stages(keys: list[str]) -> list[str]:
    return list(dict.fromkeys(key.split("/")[0] for key in keys))


def _folded(stage: str, keys: list[str]) -> str:
    names = [key.removeprefix(f"{stage}/") for key in keys]
    return f"{stage} {names[0]} .. {names[-1]} ({len(names)})" if len(names) > 2 else f"{stage} {', '.join(names)}"
