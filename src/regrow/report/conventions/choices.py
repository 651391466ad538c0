"""What papers choose when they write one number for an arm's saving.

    cost       what is counted, until the target is reached
    operator   whether the fit of a learned operator is counted: the kept one, or every rate that was tried
    source     whether the training of the source model is
    target     what must be reached

The rule of this package (`saving.py`) is the headline: FLOPs of the target's training alone, to scratch's final.
"""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from regrow.report.families import Family
from regrow.report.frames import Records
from regrow.report.saving import scratch_finals

COSTS = {"flops": "FLOPs", "flops_2x": "FLOPs at 2× forward", "steps": "steps", "epochs": "epochs"}
"""`flops` counts a backward pass as two forward ones, so that training is 3 × forward; `flops_2x` as one."""
SECONDS = {"seconds": "seconds"}
"""Kept apart, because they belong to the machine."""
OPERATOR = {"free": "", "kept": "the kept fit", "all": "every fit tried"}
SOURCE = {"free": "", "charged": "the source"}
NEAR, LEVEL = 0.99, 0.90
"""Shares of scratch's final: of each seed's own; and, for the fixed level, of the mean over seeds, one for all."""
TARGETS = {"final": "scratch's final", "near": f"{100 * NEAR:.0f} % of it", "level": "a fixed level"}


@dataclass(frozen=True)
class Convention:
    """One choice of each."""

    cost: str
    operator: str = "free"
    source: str = "free"
    target: str = "final"

    def __str__(self) -> str:
        """As in `FLOPs with every fit tried and the source, to 99 % of it`; the target where it is not the rule's."""
        counted = [words for words in (OPERATOR[self.operator], SOURCE[self.source]) if words]
        more = f" with {' and '.join(counted)}" if counted else ""
        to = "" if self.target == "final" else f", to {TARGETS[self.target]}"
        return f"{(COSTS | SECONDS)[self.cost]}{more}{to}"


HEADLINE = Convention("flops")


def every(costs: dict[str, str]) -> list[Convention]:
    """All combinations, in the order of the axes above."""
    return [
        Convention(cost, operator, source, target)
        for target in TARGETS
        for source in SOURCE
        for operator in OPERATOR
        for cost in costs
    ]


def targets(records: Records, family: Family) -> dict[str, pd.Series]:
    """The accuracy to reach under each choice of target, by seed; all from scratch's runs alone."""
    final = scratch_finals(records, family)
    level = pd.Series(LEVEL * final.mean(), final.index)
    return {"final": final, "near": NEAR * final, "level": level}
