"""The probability of improvement over scratch at every depth."""

from __future__ import annotations

import pandas as pd

from regrow.config import Learngene
from regrow.report.estimate import number
from regrow.report.frames import Records, over_seeds
from regrow.report.growth import outcomes
from regrow.report.improvement import MEASURES, pairs_words, probability
from regrow.report.table import Table, setting
from regrow.study import descendant


def descendants_improvement_table(records: Records, learngene: Learngene) -> Table:
    """Every arm against scratch of its depth. CSV: a row a measure, an arm and a depth. Shown: a column a depth."""
    found = {depth: outcomes(records, family) for depth, family in records.depths.items()}
    arms = [name for name in learngene.arms if name != learngene.scratch]
    data: list[dict[str, object]] = []
    shown: list[dict[str, str]] = []
    for measure, words in MEASURES.items():
        for arm in arms:
            cells = {"Better in": words if arm == arms[0] else "", "Arm": learngene.arms[arm].label}
            for depth in learngene.depths:
                ours, scratch = (
                    over_seeds(found[depth], descendant(name, depth), measure) for name in (arm, learngene.scratch)
                )
                row = {"measure": measure, "arm": arm, "depth": depth, "than": learngene.scratch, "n": len(ours)}
                data.append(row | {"probability": probability(ours, scratch)})
                cells[f"Depth {depth}"] = number(probability(ours, scratch), 2)
            shown.append(cells)
    caption = _caption(records, learngene)
    return Table(name="descendants_improvement", caption=caption, data=pd.DataFrame(data), shown=pd.DataFrame(shown))


def _caption(records: Records, learngene: Learngene) -> str:
    scratch = learngene.arms[learngene.scratch].label
    return (
        "Descendants' probability of improvement: the share of the pairs of seeds in which the row's arm is better "
        f"than {scratch} at the same depth. {pairs_words(records)} {setting(records.params)}"
    )
