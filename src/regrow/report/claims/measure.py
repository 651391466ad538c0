"""What a quantity is, and how it is measured: of one arm, or of one arm over the best of others, seed by seed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from regrow.config import Arm, Params
from regrow.report.estimate import Estimate, estimate
from regrow.report.frames import Records


@dataclass(frozen=True, kw_only=True)
class Measured:
    """A number over seeds, the arm that it is over, and the runs that it was read from."""

    value: Estimate
    over: str | None
    runs: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Quantity:
    """What can be measured of an arm. `values` and `runs` get the records, the arm, and the transfer set asked for."""

    words: str
    arms: Callable[[Params], Mapping[str, Arm]]
    """The arms that have it in a tier."""
    values: Callable[[Records, str, str | None], pd.Series]
    """By seed."""
    runs: Callable[[Records, str, str | None], Sequence[str]]
    """The runs that the values are read from; those that the tier lacks are passed over."""
    ratio: bool = False
    """An arm is held to another by other / arm, and the best other has the least; else by arm - other and the most."""


def absent(params: Params, quantity: Quantity, arm: str, over: Sequence[str]) -> str:
    """Why a tier has no such number; empty where it has."""
    arms = quantity.arms(params)
    if not arms:
        return "the tier runs nothing of the kind"
    if arm not in arms:
        return f"the tier has no arm `{arm}` for it"
    return "" if not over or set(over) & set(arms) else f"the tier has no arm `{'`, `'.join(over)}` to hold it to"


def measured(records: Records, quantity: Quantity, arm: str, over: Sequence[str], data: str | None) -> Measured:
    """The number of `arm`, or that over the one of `over` that is best by its mean."""
    values, runs, best = quantity.values(records, arm, data), [*quantity.runs(records, arm, data)], None
    others = {name: quantity.values(records, name, data) for name in over if name in quantity.arms(records.params)}
    if others:
        best = (min if quantity.ratio else max)(others, key=lambda name: float(others[name].mean()))
        values = others[best] / values if quantity.ratio else values - others[best]
        runs += quantity.runs(records, best, data)
    known = tuple(dict.fromkeys(run for run in runs if run in records.runs.index))
    return Measured(value=over_misses(values), over=best, runs=known)


def over_misses(values: pd.Series) -> Estimate:
    """The estimate; where every seed is infinite, as where none reached the target, both its ends are the mean."""
    with np.errstate(invalid="ignore"):
        found = estimate(values)
    infinite = found.n > 1 and bool(np.isinf(values).all())
    return replace(found, low=found.mean, high=found.mean) if infinite else found
