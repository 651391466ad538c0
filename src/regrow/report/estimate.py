"""A number over seeds: mean, standard deviation and a 95 % interval, and how it is written."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

CONFIDENCE = 0.95


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A mean over `n` seeds; what is not defined is NaN."""

    n: int
    mean: float
    sd: float
    low: float
    high: float

    def columns(self, name: str) -> dict[str, float]:
        """The four columns of a CSV."""
        return {f"{name}_{part}": getattr(self, part) for part in ("mean", "sd", "low", "high")}

    def __str__(self) -> str:
        """`mean ± sd` with one decimal; without the sd where there is one seed only."""
        spread = "" if math.isnan(self.sd) else f" ± {self.sd:.1f}"
        return f"{number(self.mean)}{spread}"


def estimate(values: Iterable[float]) -> Estimate:
    """Mean, sample standard deviation (n - 1), and Student's t interval: mean ± t(0.975, n - 1) sd / sqrt(n).

    A value that is infinite makes the mean so, and leaves sd and interval undefined.
    """
    x = np.array(list(values), dtype=float)
    n, mean, sd, half = len(x), float(x.mean()), math.nan, math.nan
    if n > 1 and bool(np.isfinite(x).all()):
        sd = float(x.std(ddof=1))
        half = float(stdtrit(n - 1, 0.5 + CONFIDENCE / 2)) * sd / math.sqrt(n)
    return Estimate(n=n, mean=mean, sd=sd, low=mean - half, high=mean + half)


def number(value: float, digits: int = 1) -> str:
    """A number for people: a real minus sign, no negative zero, words for what is no number."""
    if math.isnan(value):
        return "undefined"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    return f"{round(value, digits) + 0.0:.{digits}f}".replace("-", "−")
