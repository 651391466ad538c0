"""The one list of runs. The Snakefile makes them and the tables read them; neither knows more than this.

    runs(params)            every run of the tier, each with its resolved config and its parents
    runs(params)["target/mango_s0"]

A run's name is `<arm or source>[_<data set>]_s<seed>`; with its stage it is unique and readable. An arm of the
learngene family carries its depth: `target/tleg-d6_s0`.
"""

from __future__ import annotations

from regrow.config import Params
from regrow.errors import UserError
from regrow.study.choice import with_parents
from regrow.study.data import data_refs
from regrow.study.growth import growth_runs
from regrow.study.learngene import descendant_runs, teacher_run
from regrow.study.run import NO_PRETRAINING, Run, descendant

__all__ = ["NO_PRETRAINING", "Run", "data_refs", "descendant", "runs", "with_parents"]


def runs(params: Params) -> dict[str, Run]:
    """Every run of the tier by its key, parents first."""
    found: list[Run] = []
    for seed in params.seeds:
        found += growth_runs(params, seed)
    if params.learngene:
        found.append(teacher_run(params, params.learngene))
        for seed in params.seeds:
            found += descendant_runs(params, params.learngene, seed)
    by_key = {run.key: run for run in found}
    if len(by_key) < len(found):
        twice = next(run.key for run in found if by_key[run.key] is not run)
        raise UserError(f"params: two runs would be called {twice}; rename one of the arms or sources")
    return by_key
