"""The probability of improvement: how often a run of one arm is better than a run of another, over pairs of seeds.

    P(A > B) = (pairs in which A is better + half of the ties) / all pairs = U / (n_A n_B)

U is Mann and Whitney's; this is rliable's probability of improvement (Agarwal et al., NeurIPS 2021) on one task. A
miss saves minus infinity: it ranks last, and two misses tie.
"""

from __future__ import annotations

import math

import pandas as pd
from scipy.stats import mannwhitneyu

from regrow.report.estimate import number
from regrow.report.frames import Records, over_seeds
from regrow.report.growth import TEST, outcomes
from regrow.report.table import Table, setting

MEASURES = {TEST: "Test accuracy", "flops_saved": "FLOPs saved"}


def probability(ours: pd.Series, theirs: pd.Series) -> float:
    """P(ours > theirs) over all pairs, a tie for one half; not defined where a value is not."""
    # U does not depend on the method; this one computes no exact p-value
    u = mannwhitneyu(ours, theirs, method="asymptotic").statistic
    return float(u) / (len(ours) * len(theirs))


def improvement_table(records: Records) -> Table:
    """CSV: a row a measure and two arms. Shown: a row an arm, a column an arm."""
    found, labels = outcomes(records, records.growth), {name: arm.label for name, arm in records.params.arms.items()}
    data: list[dict[str, object]] = []
    shown: list[dict[str, str]] = []
    for measure, words in MEASURES.items():
        values = {arm: over_seeds(found, arm, measure) for arm in labels}
        for arm, label in labels.items():
            cells = {"Better in": words if arm == next(iter(labels)) else "", "Arm": label}
            for other, heading in labels.items():
                if other == arm:
                    cells[heading] = "–"
                    continue
                p, n = probability(values[arm], values[other]), len(values[arm])
                data.append({"measure": measure, "arm": arm, "than": other, "n": n, "probability": p})
                cells[heading] = number(p, 2)
            shown.append(cells)
    caption = _caption(records)
    return Table(name="improvement", caption=caption, data=pd.DataFrame(data), shown=pd.DataFrame(shown))


def chance(n: int) -> float:
    """How likely two arms that do not differ are parted in every pair of n seeds each, either way: 2 / C(2n, n)."""
    return 2 / math.comb(2 * n, n)


def _caption(records: Records) -> str:
    return (
        "Probability of improvement: the share of the pairs of seeds in which the row's arm is better than the "
        f"column's. {pairs_words(records)} {setting(records.params)}"
    )


def pairs_words(records: Records) -> str:
    """For a caption: how the pairs are counted, and what they can tell."""
    n = len(records.params.seeds)
    return (
        f"Of {n * n} pairs, a tie for one half (Mann and Whitney's U): it moves in steps of 1/{n * n}, and arms that "
        f"do not differ are parted in all pairs with probability {number(chance(n), 2)}. A miss ranks last."
    )
