"""The descendants table: at every depth, what every initialisation starts from, where it ends and what it saves."""

from __future__ import annotations

import pandas as pd

from regrow.config import Learngene
from regrow.report.estimate import Estimate, estimate
from regrow.report.families import Family
from regrow.report.frames import Records, over_seeds
from regrow.report.growth import SAVED, START, TEST, outcomes, saving_text, speedup, speedup_text
from regrow.report.table import Table, over_seeds_text, setting
from regrow.study import descendant

LEAD = "test_lead"
"""Test accuracy minus that of scratch of the same depth and seed, in points."""


def descendant_outcomes(records: Records, family: Family) -> pd.DataFrame:
    """Index (arm, seed): the outcomes of the growth table, and the lead over scratch."""
    found = outcomes(records, family)
    scratch = over_seeds(found, family.scratch, TEST).reindex(found.index, level="seed")
    return found.assign(**{LEAD: found[TEST] - scratch})


def descendants_table(records: Records, learngene: Learngene) -> Table:
    """One row a depth and an arm, in the order of the params file; accuracies and savings in percent."""
    data, shown = [], []
    trained, n = records.of("target"), len(records.params.seeds)
    for depth, family in records.depths.items():
        found = descendant_outcomes(records, family)
        for name, arm in learngene.arms.items():
            key = descendant(name, depth)
            numbers = {column: estimate(over_seeds(found, key, column)) for column in (START, TEST, LEAD, *SAVED)}
            reached, run = int(over_seeds(found, key, "reached").sum()), trained.xs(key, level="arm").iloc[0]
            row: dict[str, object] = {"arm": name, "depth": depth, "label": arm.label, "source": arm.source or ""}
            row |= {"operator": arm.operator.name if arm.operator else "", "parameters": run["parameters"]}
            row |= {"training_flops": run["flops"], "training_examples": run["examples"]}
            row |= {"test_metric": run["test_metric"], "n": n, "reached": reached}
            for column, value in numbers.items():
                row |= value.columns(column)
            data.append(row | {"speedup": speedup(numbers["flops_saved"].mean)})
            shown.append(_cells(depth, arm.label, float(run["flops"]), numbers, reached))
    return Table(name="descendants", caption=_caption(records, learngene), data=pd.DataFrame(data), shown=_frame(shown))


def _cells(depth: int, label: str, flops: float, numbers: dict[str, Estimate], reached: int) -> dict[str, str]:
    return {
        "Depth": str(depth),
        "Arm": label,
        "Training\nFLOPs": f"{flops:.2e}",
        "Minival\nat step 0": str(numbers[START]),
        "Test\naccuracy": str(numbers[TEST]),
        "FLOPs\nsaved": saving_text(numbers["flops_saved"], reached),
        "Speed-up": speedup_text(numbers["flops_saved"], reached),
        "Reached": f"{reached} of {numbers[TEST].n}",
    }


def _frame(shown: list[dict[str, str]]) -> pd.DataFrame:
    """The rows, with a depth named once."""
    frame = pd.DataFrame(shown)
    frame["Depth"] = frame["Depth"].where(~frame["Depth"].duplicated(), "")
    return frame


def _caption(records: Records, learngene: Learngene) -> str:
    metric = records.of("target")["test_metric"].iloc[0].replace("_", " ")
    return (
        f"Descendants. Test {metric} by depth, and the training FLOPs saved until the final minival accuracy of "
        f"{learngene.arms[learngene.scratch].label} at the same depth, in percent; {over_seeds_text(records.params)}. "
        "“Training FLOPs” are those of the row's own training, which is longer where an arm has a recipe of its own; "
        f"what was trained once for all depths is in the family's cost. {setting(records.params)}"
    )
