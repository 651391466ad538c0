"""The part of a study that is done, as a study of its own: what the tables of a tier can show while it still runs."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from itertools import combinations
from typing import TypeVar

from regrow.config import Arm, Learngene, Params
from regrow.study import runs

Model = TypeVar("Model")
IN_PART = ", in part"
"""What the part's tier ends with, so that every caption says it."""


def finished(params: Params, done: Collection[str]) -> Params | None:
    """The seeds, arms, transfer sets and depths of which every run is among the keys `done`; None where too little is.

    Seeds are the first ones of the params file, as many as give the most runs. An arm is in it when it is trained with
    each of them, a transfer set when all those arms are transferred to it. Of the learngene's study it has the arms and
    depths that are the most descendants, and a depth's transfer when it is complete over those arms and sets. Scratch
    and another arm are the least.
    """
    parts = [_of_seeds(params, params.seeds[:count], done) for count in range(1, len(params.seeds) + 1)]
    return max((part for part in parts if part), key=lambda part: len(runs(part)), default=None)


def _of_seeds(params: Params, seeds: tuple[int, ...], done: Collection[str]) -> Params | None:
    bare = params.model_copy(update={"seeds": seeds, "transfer_data": {}, "learngene": None})
    arms = {name: arm for name, arm in params.arms.items() if _is_done(_with_arms(bare, name), done)}
    if params.scratch not in arms or len(arms) == 1:
        return None
    growth = _with_arms(bare, *arms)
    sets = {
        name: data
        for name, data in params.transfer_data.items()
        if _is_done(growth.model_copy(update={"transfer_data": {name: data}}), done)
    }
    part = growth.model_copy(update={"tier": params.tier + IN_PART, "transfer_data": sets})
    if params.learngene:
        part = part.model_copy(update={"learngene": _descendants(part, params.learngene, done)})
    return part


def _descendants(part: Params, learngene: Learngene, done: Collection[str]) -> Learngene | None:
    """The arms and depths of the learngene's study, beside the growth study's part."""
    alone = _with_arms(part.model_copy(update={"transfer_data": {}}))
    bare = learngene.model_copy(update={"transfer_depths": ()})

    def is_done(beside: Params, one: Learngene) -> bool:
        return _is_done(beside.model_copy(update={"learngene": one}), done)

    at_depth = {depth: bare.model_copy(update={"depths": (depth,)}) for depth in bare.depths}
    cells = {
        (name, depth)
        for depth, one in at_depth.items()
        for name in bare.arms
        if is_done(alone, _descendants_of(one, name))
    }
    found = [
        (depths, arms)
        for count in range(len(bare.depths), 0, -1)
        for depths in combinations(bare.depths, count)
        if len(arms := [name for name in bare.arms if cells.issuperset((name, depth) for depth in depths)]) > 1
        and bare.scratch in arms
    ]
    if not found:
        return None
    depths, names = max(found, key=lambda each: len(each[0]) * len(each[1]))
    trained = _descendants_of(bare.model_copy(update={"depths": depths}), *names)

    def at(*transferred: int) -> Learngene:
        return trained.model_copy(update={"transfer_depths": transferred})

    if not part.transfer_data:
        return trained
    beside = _with_arms(part)
    return at(*(depth for depth in learngene.transfer_depths if depth in depths and is_done(beside, at(depth))))


def _with_arms(params: Params, *names: str) -> Params:
    """The growth study of these arms, with the sources that they need."""
    arms = {name: arm for name, arm in params.arms.items() if name in names}
    return params.model_copy(update={"arms": arms, "sources": _used(params.sources, arms)})


def _descendants_of(learngene: Learngene, *names: str) -> Learngene:
    """The learngene's study of these arms, with what they start from."""
    arms = {name: arm for name, arm in learngene.arms.items() if name in names}
    auxiliaries, sources = _used(learngene.auxiliaries, arms), _used(learngene.sources, arms)
    return learngene.model_copy(update={"arms": arms, "auxiliaries": auxiliaries, "sources": sources})


def _used(models: Mapping[str, Model], arms: Mapping[str, Arm]) -> dict[str, Model]:
    sources = {arm.source for arm in arms.values()}
    return {name: model for name, model in models.items() if name in sources}


def _is_done(params: Params, done: Collection[str]) -> bool:
    return all(key in done for key in runs(params))
