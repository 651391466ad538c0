"""What an arm saves: the rule, fixed before the runs.

For every family of arms and every seed s, on minival accuracy smoothed by a trailing running median over
`rule.smooth` evaluations:

    target_s    scratch's smoothed accuracy at the end of its training
    C_arm,s     the cost at which the arm's smoothed accuracy first reaches target_s, linear between two
                evaluations; the evaluation at step 0 counts; infinite where it is never reached
    saving_s  = 1 - C_arm,s / C_scratch,s                (the saving of Mango and its kin)
    speed-up  = 1 / (1 - saving)

C_scratch,s is scratch's own first crossing, so scratch saves 0 by construction. A run that never reaches the
target saves minus infinity, and so does the mean over seeds that holds it: a miss is shown, not left out. Where
scratch's untrained weights already reach target_s (it learned nothing), the saving is not defined: NaN.

Cost is counted in FLOPs, in steps, or in seconds of training, and FLOPs and seconds in three ways:

    <cost>_saved                 the target's training alone; source and operator are free
    <cost>_saved_with_operator   adds the operator's fit, with the learning rates that were tried and not kept
    <cost>_saved_with_source     adds the source's whole training to that: its pretraining, or the auxiliary net's
"""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from regrow.report.families import Family
from regrow.report.frames import Records

COSTS = {"flops": "flops", "steps": "step", "seconds": "seconds"}
"""The cost and the column of `Records.curves` that holds it."""

ACCOUNTS = ("flops_saved", "flops_saved_with_operator", "flops_saved_with_source")


def smooth(accuracy: pd.Series, window: int) -> pd.Series:
    """Trailing running median over `window` evaluations; over what there is at the start."""
    return accuracy.rolling(window, min_periods=1).median()


def first_crossing(cost: pd.Series, accuracy: pd.Series, target: float) -> float:
    """The cost at which `accuracy` first reaches `target`, linear between two evaluations; else infinite."""
    x, y = cost.to_numpy(dtype=float), accuracy.to_numpy(dtype=float)
    reached = np.flatnonzero(y >= target)
    if len(reached) == 0:
        return math.inf
    after = int(reached[0])
    if after == 0:
        return float(x[0])
    before = after - 1
    share = (target - y[before]) / (y[after] - y[before])
    return float(x[before] + share * (x[after] - x[before]))


def smoothed_targets(records: Records) -> pd.DataFrame:
    """The curves of stage `target` with a column `smoothed`."""
    curves = records.curves[records.curves["stage"] == "target"].copy()
    window = records.params.rule.smooth
    curves["smoothed"] = curves.groupby("key")["minival_accuracy"].transform(smooth, window)
    return curves


def scratch_finals(records: Records, family: Family) -> pd.Series:
    """Scratch's smoothed minival accuracy at the end of its training, by seed."""
    curves = smoothed_targets(records)
    return curves[curves["arm"] == family.scratch].groupby("seed")["smoothed"].last()


def crossings(records: Records, family: Family, targets: pd.Series | None = None) -> pd.DataFrame:
    """Index (arm, seed): `target_accuracy`, and the target training at it as `crossing_<cost>`.

    `targets` are accuracies by seed; none: the rule's, scratch's finals.
    """
    by_seed = scratch_finals(records, family) if targets is None else targets
    curves = dict(iter(smoothed_targets(records).groupby("key")))
    rows = []
    for seed in records.params.seeds:
        target = float(by_seed[seed])
        for arm in family.arms:
            curve = curves[f"target/{arm}_s{seed}"]
            row = {"arm": arm, "seed": seed, "target_accuracy": target}
            for name, x in COSTS.items():
                row[f"crossing_{name}"] = first_crossing(curve[x], curve["smoothed"], target)
            rows.append(row)
    return pd.DataFrame(rows).set_index(["arm", "seed"])


def savings(records: Records, family: Family) -> pd.DataFrame:
    """Index (arm, seed): every saving of the rule in percent, and `reached`."""
    crossed = crossings(records, family)
    found = pd.DataFrame({"reached": np.isfinite(crossed["crossing_flops"])})
    for cost in COSTS:
        own = crossed[f"crossing_{cost}"]
        reference = of_scratch(own, family)
        found[f"{cost}_saved"] = percent_saved(own, reference)
        if cost != "steps":
            spent = records.runs["flops"] if cost == "flops" else records.machines["seconds"]
            more = extras(records, spent, own.index)
            found[f"{cost}_saved_with_operator"] = percent_saved(own + more["fits"], reference)
            found[f"{cost}_saved_with_source"] = percent_saved(own + more["fits"] + more["source"], reference)
    return found


def of_scratch(values: pd.Series, family: Family) -> pd.Series:
    """Scratch's value of the same seed, for every (arm, seed)."""
    return values.xs(family.scratch, level="arm").reindex(values.index, level="seed")


def percent_saved(cost: pd.Series, scratch: pd.Series) -> pd.Series:
    """100 (1 - cost / scratch); not defined where scratch's cost is 0 or infinite."""
    return (1 - cost / scratch.where((scratch > 0) & np.isfinite(scratch))) * 100


def extras(records: Records, spent: pd.Series, index: pd.Index) -> pd.DataFrame:
    """What each (arm, seed) costs beside its target's training, given what every run has spent; 0 where there is none.

    Columns: `kept`, the operator's kept fit; `fits`, that and the rates that were tried and not kept; `source`, the
    source's whole training. provenance.json has the seconds of the kept fit alone: the others are taken to have run at
    its speed.
    """
    runs = records.runs
    every_fit = 1 + (runs["selection_flops"] / runs["flops"].where(runs["flops"] > 0)).fillna(0.0)
    found = pd.DataFrame(0.0, index=index, columns=["kept", "fits", "source"])
    for arm, seed in index:
        grown = f"grow/{arm}_s{seed}"
        if grown in runs.index:
            parent = runs["init"][grown]
            source = spent[parent] if parent else 0.0
            found.loc[(arm, seed), :] = [spent[grown], spent[grown] * every_fit[grown], source]
    return found
