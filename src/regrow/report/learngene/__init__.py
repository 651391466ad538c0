"""The report of the learngene's study: models of many depths, initialised from one learngene and in other ways."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from matplotlib.figure import Figure

from regrow.config import Learngene
from regrow.report.frames import Records
from regrow.report.learngene.cost import family_cost_table
from regrow.report.learngene.descendants import descendants_table
from regrow.report.learngene.figures import BY_DEPTH, CONVERGENCE, accuracy_by_depth, convergence
from regrow.report.learngene.improvement import descendants_improvement_table
from regrow.report.learngene.storage import fixed_set_table, storage_table
from regrow.report.learngene.transfer import descendants_transfer_table
from regrow.report.table import Table


def learngene_tables(records: Records, learngene: Learngene) -> list[Table]:
    """Every table of the study; that of the transfer where the tier transfers descendants."""
    tables = [descendants_table, descendants_improvement_table, family_cost_table, storage_table, fixed_set_table]
    if learngene.transfer_depths and records.params.transfer_data:
        tables.append(descendants_transfer_table)
    return [table(records, learngene) for table in tables]


def learngene_figures(learngene: Learngene) -> dict[str, Callable[[Records], Figure]]:
    """Every figure of the study, by name."""
    drawn = {BY_DEPTH: accuracy_by_depth, CONVERGENCE: convergence}
    return {name: partial(draw, learngene=learngene) for name, draw in drawn.items()}
