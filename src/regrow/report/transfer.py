"""The transfer table: every arm's target, trained on other sets, and the reference without pretraining."""

from __future__ import annotations

import pandas as pd

from regrow.report.estimate import Estimate, estimate
from regrow.report.frames import Records, over_seeds
from regrow.report.table import Table, over_seeds_text, setting
from regrow.study import NO_PRETRAINING

MEAN = "mean"
"""The column that averages the sets, within a seed first."""


def transfer_rows(records: Records) -> dict[str, str]:
    """The arms of the transfer table with their labels, the reference first."""
    return {NO_PRETRAINING: "No pretraining"} | {name: arm.label for name, arm in records.params.arms.items()}


def transfer_accuracies(records: Records) -> pd.DataFrame:
    """Index (arm, seed), one column a set: the test metric in percent; and `mean` over the sets."""
    found = records.of("transfer")["test_accuracy"].unstack("data")[list(records.params.transfer_data)]
    found[MEAN] = found.mean(axis=1)
    return found


def transfer_metrics(records: Records) -> dict[str, str]:
    """What is measured on every set: `accuracy` or `balanced_accuracy`."""
    first = records.of("transfer")["test_metric"].groupby("data").first()
    return {str(name): str(metric) for name, metric in first.items()}


def transfer_cells(records: Records, accuracies: pd.DataFrame, arm: str) -> dict[str, Estimate]:
    """An arm's test metric on every set, and the mean of the sets."""
    return {name: estimate(over_seeds(accuracies, arm, name)) for name in [*records.params.transfer_data, MEAN]}


def transfer_table(records: Records) -> Table:
    """One row an arm, one column a set; the CSV has one row an arm and set."""
    accuracies, metrics = transfer_accuracies(records), transfer_metrics(records)
    data, shown = [], []
    for arm, label in transfer_rows(records).items():
        text = {"Arm": label, "n": str(len(records.params.seeds))}
        for name, cell in transfer_cells(records, accuracies, arm).items():
            row = {"arm": arm, "label": label, "data": name, "test_metric": metrics.get(name, MEAN), "n": cell.n}
            data.append(row | cell.columns("test_accuracy"))
            text["Mean" if name == MEAN else name] = str(cell)
        shown.append(text)
    words = _caption(records, metrics)
    return Table(name="transfer", caption=words, data=pd.DataFrame(data), shown=pd.DataFrame(shown))


def metric_note(records: Records, metrics: dict[str, str]) -> str:
    """For a caption: on which sets the accuracy is balanced over the classes."""
    balanced = [name for name in records.params.transfer_data if metrics[name] == "balanced_accuracy"]
    return f" (balanced over the classes on {', '.join(balanced)})" if balanced else ""


def _caption(records: Records, metrics: dict[str, str]) -> str:
    sets = records.params.transfer_data.items()
    few = [f"{data.per_class} a class on {name}" for name, data in sets if data.per_class]
    shots = f" Training images: {', '.join(few)}; elsewhere all but the minival split." if few else ""
    return (
        f"Transfer. Test accuracy{metric_note(records, metrics)} in percent after fine-tuning each arm's target; "
        f"{over_seeds_text(records.params)}.{shots} {setting(records.params)}"
    )
