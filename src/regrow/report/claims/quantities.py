"""The numbers of ours that a claim can be held to. A new one is a function of the records and a line of QUANTITIES."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pandas as pd

from regrow.config import Arm, Learngene, Params
from regrow.report.claims.measure import Quantity
from regrow.report.frames import Records, over_seeds
from regrow.report.growth import TEST, outcomes
from regrow.report.learngene.cost import family_cost, stored
from regrow.report.learngene.storage import MEAN, depth_accuracies
from regrow.report.learngene.transfer import transferred
from regrow.report.transfer import transfer_accuracies
from regrow.study import descendant

Values = Callable[[Records, str, str | None], pd.Series]


def _growth(column: str) -> Values:
    return lambda records, arm, data: over_seeds(outcomes(records, records.growth), arm, column)


def _targets(records: Records, arm: str, data: str | None) -> list[str]:
    return [f"target/{arm}_s{seed}" for seed in records.params.seeds]


def _targets_and_scratch(records: Records, arm: str, data: str | None) -> list[str]:
    return _targets(records, arm, data) + _targets(records, records.params.scratch, data)


def _learngene(records: Records) -> Learngene:
    assert records.params.learngene, "only its own arms are asked for"
    return records.params.learngene


def _family(params: Params) -> Mapping[str, Arm]:
    return params.learngene.arms if params.learngene else {}


def _inheriting(params: Params) -> Mapping[str, Arm]:
    return {name: arm for name, arm in _family(params).items() if arm.source}


def _transferring(params: Params) -> Mapping[str, Arm]:
    learngene = params.learngene
    if learngene is None or not learngene.transfer_depths or not params.transfer_data:
        return {}
    return {name: learngene.arms[name] for name in transferred(learngene)}


def _descendants(records: Records, arm: str, data: str | None) -> list[str]:
    return [key for depth in _learngene(records).depths for key in _targets(records, descendant(arm, depth), data)]


def _accuracy(records: Records, arm: str, data: str | None) -> pd.Series:
    return over_seeds(depth_accuracies(records, _learngene(records)), arm, MEAN)


def _sets(records: Records, data: str | None) -> list[str]:
    """The key of the transfer set that was asked for; of all where the tier has no such set, or none was."""
    sets = records.params.transfer_data
    return [key for key, config in sets.items() if config.name == data] or list(sets)


def _transfer(records: Records, arm: str, data: str | None) -> pd.Series:
    accuracies, depths = transfer_accuracies(records), _learngene(records).transfer_depths
    each = [over_seeds(accuracies, descendant(arm, d), key) for d in depths for key in _sets(records, data)]
    return pd.concat(each, axis=1).mean(axis=1)


def _transfers(records: Records, arm: str, data: str | None) -> list[str]:
    names = [f"{descendant(arm, d)}_{key}" for d in _learngene(records).transfer_depths for key in _sets(records, data)]
    return [f"transfer/{name}_s{seed}" for name in names for seed in records.params.seeds]


def _cost(part: str) -> Values:
    return lambda records, arm, data: pd.Series(
        {seed: family_cost(records, _learngene(records), arm, seed)[part] for seed in records.params.seeds}
    )


def _parameters(records: Records, arm: str, data: str | None) -> pd.Series:
    counts, learngene = records.runs["parameters"].astype(float), _learngene(records)
    return pd.Series({seed: counts[stored(records, learngene, arm, seed)].sum() for seed in records.params.seeds})


def _sources(records: Records, arm: str, data: str | None) -> list[str]:
    return [key for seed in records.params.seeds for key in stored(records, _learngene(records), arm, seed)]


def _trained(records: Records, arm: str, data: str | None) -> list[str]:
    targets = _descendants(records, arm, data)
    return [*_sources(records, arm, data), *(key.replace("target/", "grow/") for key in targets), *targets]


QUANTITIES = {
    "flops_saved": Quantity(
        words="FLOPs saved until scratch's final accuracy, the target's training alone",
        arms=lambda params: params.arms,
        values=_growth("flops_saved"),
        runs=_targets_and_scratch,
    ),
    "seconds_saved": Quantity(
        words="seconds saved until scratch's final accuracy, the target's training alone",
        arms=lambda params: params.arms,
        values=_growth("seconds_saved"),
        runs=_targets_and_scratch,
    ),
    "test_accuracy": Quantity(
        words="test accuracy of the target",
        arms=lambda params: params.arms,
        values=_growth(TEST),
        runs=_targets,
    ),
    "descendants_test_accuracy": Quantity(
        words="descendants' test accuracy, mean over the depths",
        arms=_family,
        values=_accuracy,
        runs=_descendants,
    ),
    "descendants_transfer_accuracy": Quantity(
        words="test accuracy after transfer of the initial weights, to its set or, without that, the mean of ours",
        arms=_transferring,
        values=_transfer,
        runs=_transfers,
    ),
    "family_flops": Quantity(
        words="training FLOPs, the teacher not counted, of having every depth",
        arms=_family,
        values=_cost("total_flops"),
        runs=_trained,
        ratio=True,
    ),
    "pretraining_flops": Quantity(
        words="training FLOPs, the teacher not counted, of what is stored to initialise every depth",
        arms=_inheriting,
        values=_cost("once_flops"),
        runs=_sources,
        ratio=True,
    ),
    "stored_parameters": Quantity(
        words="parameters, heads included, stored to initialise every depth",
        arms=_inheriting,
        values=_parameters,
        runs=_sources,
        ratio=True,
    ),
}
"""By the name that params/claims.yaml uses."""
