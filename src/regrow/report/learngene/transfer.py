"""Transfer of the descendants: an arm's initial weights, fine-tuned on every other set, beside scratch on it alone."""

from __future__ import annotations

import pandas as pd

from regrow.config import Learngene
from regrow.report.frames import Records
from regrow.report.table import Table, over_seeds_text, setting
from regrow.report.transfer import MEAN, metric_note, transfer_accuracies, transfer_cells, transfer_metrics
from regrow.study import descendant


def transferred(learngene: Learngene) -> list[str]:
    """The arms whose initial weights differ: of those without an operator, scratch alone."""
    return [name for name, arm in learngene.arms.items() if arm.operator or name == learngene.scratch]


def descendants_transfer_table(records: Records, learngene: Learngene) -> Table:
    """One row a depth and an arm, one column a set; the CSV has one row a depth, an arm and a set."""
    accuracies, metrics = transfer_accuracies(records), transfer_metrics(records)
    data, shown = [], []
    for depth in learngene.transfer_depths:
        for place, name in enumerate(transferred(learngene)):
            label = learngene.arms[name].label
            text = {"Depth": "" if place else str(depth), "Arm": label}
            for data_name, cell in transfer_cells(records, accuracies, descendant(name, depth)).items():
                row = {"arm": name, "depth": depth, "label": label, "data": data_name}
                row |= {"test_metric": metrics.get(data_name, MEAN), "n": cell.n}
                data.append(row | cell.columns("test_accuracy"))
                text["Mean" if data_name == MEAN else data_name] = str(cell)
            shown.append(text)
    caption = (
        f"Descendants' transfer. Test accuracy{metric_note(records, metrics)} in percent after fine-tuning each arm's "
        "initial weights, as they are before any training at that depth; "
        f"{learngene.arms[learngene.scratch].label} is trained on the set alone; {over_seeds_text(records.params)}. "
        f"{setting(records.params)}"
    )
    return Table(name="descendants_transfer", caption=caption, data=pd.DataFrame(data), shown=pd.DataFrame(shown))
