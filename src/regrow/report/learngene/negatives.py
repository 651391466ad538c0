"""Negative results of the learngene's study: below scratch at equal training, costlier, worse after transfer."""

from __future__ import annotations

from regrow.config import Learngene
from regrow.report.estimate import number
from regrow.report.frames import Records, over_seeds
from regrow.report.learngene.cost import family_costs
from regrow.report.learngene.descendants import LEAD, descendant_outcomes
from regrow.report.learngene.transfer import transferred
from regrow.report.transfer import transfer_accuracies
from regrow.study import descendant


def descendants_negatives(records: Records, learngene: Learngene) -> list[str]:
    """One sentence each."""
    lines = _accuracy(records) + _cost(records, learngene)
    return lines + (_transfer(records, learngene) if records.params.transfer_data else [])


def _accuracy(records: Records) -> list[str]:
    found = []
    for depth, family in records.depths.items():
        outcomes, scratch = descendant_outcomes(records, family), family.arms[family.scratch].label
        leads = {arm: float(over_seeds(outcomes, arm, LEAD).mean()) for arm in family.equally_trained()}
        below = [f"{family.arms[arm].label} ({number(lead, 2)} points)" for arm, lead in leads.items() if lead < 0]
        if below:
            found.append(f"At depth {depth}, lower test accuracy than {scratch} at equal training: {', '.join(below)}.")
        reached = {arm: over_seeds(outcomes, arm, "reached") for arm in leads}
        missing = [
            f"{family.arms[arm].label} ({seeds.sum()} of {len(seeds)} seeds reached it)"
            for arm, seeds in reached.items()
            if not seeds.all()
        ]
        if missing:
            found.append(f"At depth {depth}, misses of {scratch}'s final accuracy: {', '.join(missing)}.")
    return found


def _cost(records: Records, learngene: Learngene) -> list[str]:
    costs, scratch = family_costs(records, learngene), learngene.arms[learngene.scratch].label
    ratios = {name: float(costs["with_teacher_ratio"][name]) for name in learngene.arms}
    costly = [f"{learngene.arms[name].label} ({number(ratio, 2)}×)" for name, ratio in ratios.items() if ratio > 1]
    if not costly:
        return []
    return [f"A family costs more FLOPs than {scratch} at every depth, the teacher included: {', '.join(costly)}."]


def _transfer(records: Records, learngene: Learngene) -> list[str]:
    accuracies, found = transfer_accuracies(records), []
    scratch = learngene.arms[learngene.scratch].label
    for depth in learngene.transfer_depths:
        for name in records.params.transfer_data:
            means = {arm: over_seeds(accuracies, descendant(arm, depth), name).mean() for arm in transferred(learngene)}
            below = [learngene.arms[arm].label for arm, mean in means.items() if mean < means[learngene.scratch]]
            if below:
                found.append(f"On {name} at depth {depth}, lower than {scratch} alone: {', '.join(below)}.")
    return found
