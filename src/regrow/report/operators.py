"""The table of the learned operators: which learning rate was kept, and what the fit did."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from regrow.growth.registry import entry
from regrow.report.estimate import number
from regrow.report.frames import Records
from regrow.report.table import Table, setting

COLUMNS = (
    "arm",
    "label",
    "operator",
    "seed",
    "lr",
    "candidates",
    "operator_parameters",
    "steps",
    "before_accuracy",
    "minival_accuracy",
    "before_loss",
    "minival_loss",
    "flops",
    "selection_flops",
    "worse",
)
SHOWN = (
    "Arm",
    "Seed",
    "Learning\nrate",
    "Candidates",
    "Minival\nbefore → after",
    "Fit\nFLOPs",
    "Selection\nFLOPs",
    "The fit ends",
)


def operators_table(records: Records) -> Table:
    """One row a learned arm and seed. `worse`: what the fit left worse than it found it, on minival."""
    data, shown = [], []
    for family, name, arm in [(each, *item) for each in records.families for item in each.arms.items()]:
        if not arm.operator or not entry(arm.operator.name).learned:
            continue
        for seed in records.params.seeds:
            run = {str(column): value for column, value in records.runs.loc[f"grow/{name}_s{seed}"].items()}
            candidates, worse = [f"{lr:g}" for lr in run["candidates"]], " and ".join(worsened(run))
            run |= {"label": family.label(name), "operator": arm.operator.name}
            run |= {"candidates": " ".join(candidates), "worse": worse}
            data.append({column: run[column] for column in COLUMNS})
            cells = (
                family.label(name),
                str(seed),
                f"{run['lr']:g}",
                ", ".join(candidates),
                f"{number(run['before_accuracy'])} → {number(run['minival_accuracy'])}",
                f"{run['flops']:.2e}",
                f"{run['selection_flops']:.2e}",
                f"worse {worse}" if worse else "no worse",
            )
            shown.append(dict(zip(SHOWN, cells, strict=True)))
    return Table(
        name="operators",
        caption=_caption(records),
        data=pd.DataFrame(data, columns=list(COLUMNS)),
        shown=pd.DataFrame(shown, columns=list(SHOWN)),
    )


def worsened(run: Mapping[str, Any]) -> list[str]:
    """Which of loss and accuracy on minival ended worse than they began; it is shown as `worse …`."""
    measures = {
        "loss": run["minival_loss"] > run["before_loss"],
        "accuracy": run["minival_accuracy"] < run["before_accuracy"],
    }
    return [name for name, worse in measures.items() if worse]


def _caption(records: Records) -> str:
    return (
        "Learned operators. Every candidate rate gets the same fit and the lowest final minival loss is kept; "
        "minival accuracy of the grown target in percent, before and after the fit; “worse” where its minival "
        f"loss or accuracy ended worse than it began. {setting(records.params)}"
    )
