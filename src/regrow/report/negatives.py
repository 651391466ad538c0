"""Negative results, named: a miss, a loss, a fit that made it worse, a transfer below the reference."""

from __future__ import annotations

import pandas as pd

from regrow.report.estimate import Estimate, estimate, number
from regrow.report.frames import Records, over_seeds
from regrow.report.learngene.negatives import descendants_negatives
from regrow.report.saving import ACCOUNTS, savings
from regrow.report.transfer import transfer_accuracies
from regrow.study import NO_PRETRAINING

ACCOUNT_WORDS = dict(
    zip(ACCOUNTS, ("target training alone", "with the operator's fit", "with fit and source"), strict=True)
)


def negatives(records: Records, fits: pd.DataFrame) -> list[str]:
    """One sentence each; `fits` is the data of the operators table."""
    lines = [*_growth(records), *_fits(fits)]
    if records.params.transfer_data:
        lines += _transfer(records)
    if records.params.learngene:
        lines += descendants_negatives(records, records.params.learngene)
    return lines


def _growth(records: Records) -> list[str]:
    saved, scratch = savings(records, records.growth), records.params.scratch
    labels = {name: arm.label for name, arm in records.params.arms.items() if name != scratch}
    found, reaching = [], []
    for arm, label in labels.items():
        reached = over_seeds(saved, arm, "reached")
        if reached.all():
            reaching.append(arm)
        else:
            found.append(f"{label} misses the target: {reached.sum()} of {len(reached)} seeds reached it.")
    for account in ACCOUNTS:
        means = {arm: float(over_seeds(saved, arm, account).mean()) for arm in reaching}
        losing = [f"{labels[arm]} ({number(mean)} %)" for arm, mean in means.items() if mean < 0]
        if losing:
            words = f"{records.params.arms[scratch].label}, {ACCOUNT_WORDS[account]}"
            found.append(f"More compute than {words}: {', '.join(losing)}.")
    unclear = [labels[arm] for arm in reaching if _holds_zero(estimate(over_seeds(saved, arm, "flops_saved")))]
    if unclear:
        found.append(f"The 95 % interval of the FLOPs saved holds 0: {', '.join(unclear)}.")
    own = over_seeds(saved, scratch, "flops_saved")
    undefined = [str(seed) for seed in own.index[own.isna()]]
    if undefined:
        found.append(f"Savings are undefined, because scratch learned nothing: seed {', '.join(undefined)}.")
    return found


def _holds_zero(value: Estimate) -> bool:
    return value.low <= 0 <= value.high


def _fits(fits: pd.DataFrame) -> list[str]:
    return [
        f"The fit of {fit.label}, seed {fit.seed}, ended with a worse minival {fit.worse}."
        for fit in fits.itertuples()
        if fit.worse
    ]


def _transfer(records: Records) -> list[str]:
    accuracies, found = transfer_accuracies(records), []
    for name in records.params.transfer_data:
        reference = over_seeds(accuracies, NO_PRETRAINING, name).mean()
        means = {key: over_seeds(accuracies, key, name).mean() for key in records.growth.arms}
        below = [records.params.arms[key].label for key, mean in means.items() if mean < reference]
        if below:
            found.append(f"On {name}, lower than the target without pretraining: {', '.join(below)}.")
    return found
