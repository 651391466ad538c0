"""The conventions table: every arm's saving under every convention, and how far they are apart.

A convention that cannot differ from an earlier one is not repeated. Within an arm, two cannot differ where they ask for
the same target and where, relative to scratch's whole training, the arm's whole training costs the same in both and so
does what is charged beside it: a closed-form operator has no fit to count, and steps say what FLOPs say where every
step costs the same.
"""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from regrow.report.conventions.choices import COSTS, HEADLINE, LEVEL, NEAR, SECONDS, Convention, every, targets
from regrow.report.conventions.spent import spent, until
from regrow.report.estimate import PARTS, estimate, number
from regrow.report.families import Family
from regrow.report.frames import Records
from regrow.report.saving import crossings, extras, of_scratch, percent_saved
from regrow.report.table import Table, setting

COLUMNS = ["arm", "label", "cost", "operator", "source", "target", "headline", "n", "reached"]
COLUMNS += [f"saved_{part}" for part in PARTS]
DIGITS = 9
"""To which two ratios of costs are the same."""


def columns(cost: str) -> dict[str, Convention]:
    """The conventions that are shown, by heading; each differs from the first in what its heading says."""
    shown = {
        "Target\nalone": Convention(cost),
        "with\nkept fit": Convention(cost, "kept"),
        "with\nevery fit": Convention(cost, "all"),
        "with\nsource": Convention(cost, "free", "charged"),
        "fits and\nsource": Convention(cost, "all", "charged"),
        f"{100 * NEAR:.0f} % of\nfinal": Convention(cost, target="near"),
        "fixed\nlevel": Convention(cost, target="level"),
    }
    if cost == "flops":
        shown["fits and\nsource: 2×"] = Convention("flops_2x", "all", "charged")
        shown["fits and\nsource: steps"] = Convention("steps", "all", "charged")
    return shown


def convention_savings(records: Records, family: Family, costs: dict[str, str]) -> dict[Convention, pd.Series]:
    """Savings in percent by (arm, seed), scratch's too."""
    found = {}
    paid = {cost: spent(records, cost) for cost in costs}
    for target, by_seed in targets(records, family).items():
        crossed = crossings(records, family, by_seed)
        for cost in costs:
            own = until(records, cost, crossed)
            scratch = of_scratch(own, family)
            for (operator, source), more in _charged(extras(records, paid[cost], own.index)).items():
                found[Convention(cost, operator, source, target)] = percent_saved(own + more, scratch)
    return found


def distinct(records: Records, family: Family, costs: dict[str, str]) -> dict[str, dict[Convention, Convention]]:
    """By arm: every convention, and the earliest that it cannot differ from, which may be itself."""
    found: dict[str, dict[Convention, Convention]] = {arm: {} for arm in family.arms}
    bills = {cost: _bill(records, family, cost) for cost in costs}
    for arm, same in found.items():
        first: dict[tuple[object, ...], Convention] = {}
        for each in every(costs):
            training, more = bills[each.cost]
            ratios = np.round([training[arm], more[each.operator, each.source][arm]], DIGITS)
            same[each] = first.setdefault((each.target, ratios.tobytes()), each)
    return found


def _bill(records: Records, family: Family, cost: str) -> tuple[pd.Series, dict[tuple[str, str], pd.Series]]:
    """Relative to scratch's whole training: an arm's, and what is charged beside it by (operator, source)."""
    paid, index = spent(records, cost), records.of("target").loc[list(family.arms)].index
    own = pd.Series([paid[f"target/{arm}_s{seed}"] for arm, seed in index], index)
    scratch = of_scratch(own, family)
    return own / scratch, {key: more / scratch for key, more in _charged(extras(records, paid, index)).items()}


def _charged(more: pd.DataFrame) -> dict[tuple[str, str], pd.Series]:
    """What is charged beside the target's training, by (operator, source)."""
    operator = {"free": 0.0 * more["kept"], "kept": more["kept"], "all": more["fits"]}
    source = {"free": 0.0 * more["source"], "charged": more["source"]}
    return {(o, s): operator[o] + source[s] for o in operator for s in source}


def conventions_table(records: Records) -> Table:
    """CSV: a row an arm and convention, each that can differ. Shown: a row an arm. Scratch saves 0 in all of them."""
    data, shown = _table(records, COSTS, columns("flops"))
    return Table(name="conventions", caption=_caption(records, "FLOPs"), data=data, shown=shown)


def seconds_conventions_table(records: Records) -> Table:
    """The same for seconds of training, which belong to the machine."""
    data, shown = _table(records, SECONDS, columns("seconds"))
    return Table(name="seconds_conventions", caption=_caption(records, "seconds"), data=data, shown=shown)


def _table(
    records: Records, costs: dict[str, str], shown_columns: dict[str, Convention]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    family, n = records.growth, len(records.params.seeds)
    saved, same = convention_savings(records, family, costs), distinct(records, family, costs)
    data, shown = [], []
    for arm in [name for name in family.arms if name != family.scratch]:
        means = {}
        for each in [one for one in every(costs) if same[arm][one] == one]:
            values = saved[each].xs(arm, level="arm")
            found = estimate(values)
            row = {"arm": arm, "label": family.label(arm), **vars(each), "headline": each == HEADLINE}
            data.append(row | {"n": n, "reached": int((values > -math.inf).sum())} | found.columns("saved"))
            means[each] = found.mean
        seen: set[Convention] = set()
        cells = {"Arm": family.label(arm)}
        for heading, each in shown_columns.items():
            cells[heading] = "–" if same[arm][each] in seen else percent(means[same[arm][each]])
            seen.add(same[arm][each])
        least, most = extremes(means)
        cells |= {"Least": percent(means[least]), "Most": percent(means[most]), "Count": str(len(means))}
        shown.append(cells)
    headings = ["Arm", *shown_columns, "Least", "Most", "Count"]
    return pd.DataFrame(data, columns=COLUMNS), pd.DataFrame(shown, columns=headings)


def percent(mean: float) -> str:
    """A mean saving; a miss of one seed is a miss."""
    return "miss" if mean == -math.inf else number(mean)


def extremes(means: dict[Convention, float]) -> tuple[Convention, Convention]:
    """The conventions under which an arm saves least and most; an undefined saving is neither, unless all are."""
    known = {each: mean for each, mean in means.items() if not math.isnan(mean)} or means
    return min(known, key=known.__getitem__), max(known, key=known.__getitem__)


def _caption(records: Records, cost: str) -> str:
    scratch = records.params.arms[records.params.scratch].label
    twice = "“2×” counts training as two forward passes, not as three. " if cost == "FLOPs" else ""
    return (
        f"Conventions, in {cost}. One set of runs, counted as papers count; savings in percent, means over "
        f"{len(records.params.seeds)} seeds. “Target alone” is the rule's: the target's training, to {scratch}'s final "
        f"minival accuracy; every other column differs from it in what it names. {twice}"
        f"The fixed level is {100 * LEVEL:.0f} % of the mean of {scratch}'s finals. “Least” and “Most” are over all "
        "combinations that can differ, as many as the last column counts; a dash marks what cannot differ from a "
        f"column to its left; a miss of one seed is a miss. {setting(records.params)}"
    )
