"""The growth table: what every arm starts from, where it ends, and what it saves."""

from __future__ import annotations

import math

import pandas as pd

from regrow.report.estimate import Estimate, estimate, number
from regrow.report.frames import Records, over_seeds
from regrow.report.saving import ACCOUNTS, savings
from regrow.report.table import Table, over_seeds_text, setting

SAVED = (*ACCOUNTS, "steps_saved")


def growth_table(records: Records) -> Table:
    """One row an arm, in the order of the params file; accuracies and savings in percent."""
    saved = savings(records)
    curves, test = records.curves, records.of("target")
    start = curves[(curves["stage"] == "target") & (curves["step"] == 0)].set_index(["arm", "seed"])
    metric = test["test_metric"].iloc[0]
    data, shown = [], []
    for name, arm in records.params.arms.items():
        numbers = {
            "minival_at_start": estimate(over_seeds(start, name, "minival_accuracy")),
            "test_accuracy": estimate(over_seeds(test, name, "test_accuracy")),
        } | {saving: estimate(over_seeds(saved, name, saving)) for saving in SAVED}
        reached, n = int(over_seeds(saved, name, "reached").sum()), len(records.params.seeds)
        operator = arm.operator.name if arm.operator else ""
        faster = speedup(numbers["flops_saved"].mean)
        row: dict[str, object] = {"arm": name, "label": arm.label, "operator": operator}
        row |= {"source": arm.source or "", "test_metric": metric, "n": n, "reached": reached}
        for column, value in numbers.items():
            row |= value.columns(column)
        data.append(row | {"speedup": faster})
        shown.append(
            {
                "Arm": arm.label,
                "Operator": operator or "–",
                "Source": arm.source or "–",
                "Minival\nat step 0": str(numbers["minival_at_start"]),
                "Test\naccuracy": str(numbers["test_accuracy"]),
                "FLOPs\nsaved": saving_text(numbers["flops_saved"], reached),
                "with\noperator": saving_text(numbers["flops_saved_with_operator"], reached),
                "with\nsource": saving_text(numbers["flops_saved_with_source"], reached),
                "Steps\nsaved": saving_text(numbers["steps_saved"], reached),
                "Speed-up": f"{number(faster, 2)}×" if reached == n and not math.isnan(faster) else "–",
                "Reached": f"{reached} of {n}",
            }
        )
    return Table(name="growth", caption=_caption(records), data=pd.DataFrame(data), shown=pd.DataFrame(shown))


def speedup(saved: float) -> float:
    """1 / (1 - saving), of a saving in percent: 0 for a miss, infinite where nothing was needed."""
    left = 1 - saved / 100
    return math.inf if left == 0 else 1 / left


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
