"""A claim of a paper, and every reading of it that we can compute.

The papers do not say what they counted. A reading is a hypothesis in words, a formula and our number; the first
reading of a claim is the one that fits best, the others say what the number becomes if something else was meant.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

TOLERANCE = 0.03
"""Relative: the papers write "about"."""


@dataclass(frozen=True, kw_only=True)
class Reading:
    """One way to compute a claim."""

    hypothesis: str
    formula: str
    value: float


@dataclass(frozen=True, kw_only=True)
class Claim:
    """`stated` is in `unit`, "x", "%" or "parameters", and by which paper; None where we derive what nobody states."""

    stated_by: str
    claim: str
    stated: float | None
    unit: str
    readings: Sequence[Reading]

    def agrees(self, reading: Reading) -> bool | None:
        """Whether a reading gives the stated value to within 3 %."""
        return None if self.stated is None else abs(reading.value / self.stated - 1) <= TOLERANCE
