"""Which runs of the study are looked at. Imports no torch: the Snakefile asks."""

from __future__ import annotations

from collections.abc import Mapping

from regrow.config import Params, TrainConfig
from regrow.layers import FEWEST
from regrow.study import Run, descendant


def analysed(params: Params, found: Mapping[str, Run]) -> list[str]:
    """The keys of trained targets of at least three layers: scratch at every seed, every other arm at the first.

    Of the learngene's study: its deepest model from scratch, at every seed.
    """
    scratch = [params.scratch]
    if params.learngene:
        scratch.append(descendant(params.learngene.scratch, max(params.learngene.depths)))
    return [
        run.key
        for run in found.values()
        if isinstance(run.config, TrainConfig)
        and run.stage == "target"
        and run.config.model.depth >= FEWEST
        and (run.arm in scratch or (run.arm in params.arms and run.config.seed == params.seeds[0]))
    ]
