"""The growth table: what every arm starts from, where it ends, and what it saves."""

from __future__ import annotations

import math

import pandas as pd

from regrow.report.estimate import Estimate, estimate, number
from regrow.report.families import Family
from regrow.report.frames import Records, over_seeds
from regrow.report.saving import ACCOUNTS, savings
from regrow.report.table import Table, over_seeds_text, setting

SAVED = (*ACCOUNTS, "steps_saved")
START, TEST = "minival_at_start", "test_accuracy"


def growth_table(records: Records) -> Table:
    """One row an arm, in the order of the params file; accuracies and savings in percent."""
    metric = records.of("target")["test_metric"].iloc[0]
    found = outcomes(records, records.growth)
    data, shown = [], []
    for name, arm in records.params.arms.items():
        numbers = {column: estimate(over_seeds(found, name, column)) for column in (START, TEST, *SAVED)}
        reached, n = int(over_seeds(found, name, "reached").sum()), len(records.params.seeds)
        operator = arm.operator.name if arm.operator else ""
        row: dict[str, object] = {"arm": name, "label": arm.label, "operator": operator}
        row |= {"source": arm.source or "", "test_metric": metric, "n": n, "reached": reached}
        for column, value in numbers.items():
            row |= value.columns(column)
        data.append(row | {"speedup": speedup(numbers["flops_saved"].mean)})
        shown.append(
            {
                "Arm": arm.label,
                "Operator": operator or "–",
                "Source": arm.source or "–",
                "Minival\nat step 0": str(numbers[START]),
                "Test\naccuracy": str(numbers[TEST]),
                "FLOPs\nsaved": saving_text(numbers["flops_saved"], reached),
                "with\noperator": saving_text(numbers["flops_saved_with_operator"], reached),
                "with\nsource": saving_text(numbers["flops_saved_with_source"], reached),
                "Steps\nsaved": saving_text(numbers["steps_saved"], reached),
                "Speed-up": speedup_text(numbers["flops_saved"], reached),
                "Reached": f"{reached} of {n}",
            }
        )
    return Table(name="growth", caption=_caption(records), data=pd.DataFrame(data), shown=pd.DataFrame(shown))


def outcomes(records: Records, family: Family) -> pd.DataFrame:
    """Index (arm, seed): minival accuracy at step 0, test accuracy, the savings of the rule, and `reached`."""
    curves, saved = records.curves, savings(records, family)
    start = curves[(curves["stage"] == "target") & (curves["step"] == 0)].set_index(["arm", "seed"])
    return saved.assign(**{START: start["minival_accuracy"], TEST: records.of("target")["test_accuracy"]})


def speedup(saved: float) -> float:
    """1 / (1 - saving), of a saving in percent: 0 for a miss, infinite where nothing was needed."""
    left = 1 - saved / 100
    return math.inf if left == 0 else 1 / left


def speedup_text(saving: Estimate, reached: int) -> str:
    """The speed-up at the mean saving; a dash where a seed never reached the target, or nothing was learned."""
    faster = speedup(saving.mean)
    return f"{number(faster, 2)}×" if reached == saving.n and not math.isnan(faster) else "–"


def saving_text(saving: Estimate, reached: int) -> str:
    """`mean ± sd`, or, where a seed never reached the target, a miss and how many did."""
    return str(saving) if reached == saving.n else f"miss ({reached} of {saving.n})"


def _caption(records: Records) -> str:
    scratch = records.params.arms[records.params.scratch].label
    metric = records.of("target")["test_metric"].iloc[0].replace("_", " ")
    return (
        f"Growth. Test {metric} and compute saved until {scratch}'s final minival accuracy is reached, in "
        f"percent; {over_seeds_text(records.params)}. “FLOPs saved” counts the target's "
        "training alone, “with operator” adds the operator's fit and the choice of its learning rate, “with "
        f"source” adds the source's pretraining to that. {setting(records.params)}"
    )
