"""A number over seeds: mean, standard deviation and 95 % intervals, and how it is written.

Seeds are what is resampled and averaged. An arm's saving is worked out within a seed, against scratch of that seed, so
that both intervals are of paired numbers: resampling the seeds draws an arm and its scratch together.

Tables and text have Student's t interval, the CSV files the percentile bootstrap too. On three seeds there are 27
resamples; in one of them, 3.7 % and more than the 2.5 % that are cut off, the mean is the lowest seed's value, so that
the bootstrap's interval is the range of the seeds. Three draws have their median between them in 1 - 2 / 2^3 = 75 % of
cases: it is no 95 % interval, and t's, which assumes normal values, is the one to read.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit
from scipy.stats import bootstrap

CONFIDENCE = 0.95
PARTS = ("mean", "sd", "low", "high", "boot_low", "boot_high")
"""What a CSV holds of an estimate."""
BOOTSTRAP_SEED = 0
"""Of the resampling, so that the same values give the same bytes."""


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A mean over `n` seeds; what is not defined is NaN. `low` and `high` are of Student's t interval."""

    n: int
    mean: float
    sd: float
    low: float
    high: float
    boot_low: float
    boot_high: float

    def columns(self, name: str) -> dict[str, float]:
        """The columns of a CSV, from `<name>_mean` to `<name>_boot_high`."""
        return {f"{name}_{part}": getattr(self, part) for part in PARTS}

    def __str__(self) -> str:
        """`mean ± sd` with one decimal; without the sd where there is one seed only."""
        spread = "" if math.isnan(self.sd) else f" ± {self.sd:.1f}"
        return f"{number(self.mean)}{spread}"


def estimate(values: Iterable[float]) -> Estimate:
    """Mean, sample standard deviation (n - 1), mean ± t(0.975, n - 1) sd / sqrt(n), and the bootstrap's percentiles.

    A value that is infinite makes the mean so, and leaves sd and intervals undefined.
    """
    x = np.array(list(values), dtype=float)
    n, mean, sd, half, resampled = len(x), float(x.mean()), math.nan, math.nan, (math.nan, math.nan)
    if n > 1 and bool(np.isfinite(x).all()):
        sd = float(x.std(ddof=1))
        half = float(stdtrit(n - 1, 0.5 + CONFIDENCE / 2)) * sd / math.sqrt(n)
        resampled = _bootstrap(x)
    return Estimate(
        n=n, mean=mean, sd=sd, low=mean - half, high=mean + half, boot_low=resampled[0], boot_high=resampled[1]
    )


def _bootstrap(x: np.ndarray) -> tuple[float, float]:
    """The 2.5 and 97.5 % percentiles of the mean over seeds that are drawn with replacement."""
    found = bootstrap((x,), np.mean, method="percentile", confidence_level=CONFIDENCE, rng=BOOTSTRAP_SEED)
    return float(found.confidence_interval.low), float(found.confidence_interval.high)


def number(value: float, digits: int = 1) -> str:
    """A number for people: a real minus sign, no negative zero, words for what is no number."""
    if math.isnan(value):
        return "undefined"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    return f"{round(value, digits) + 0.0:.{digits}f}".replace("-", "−")
