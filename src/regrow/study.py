"""The one list of runs. The Snakefile makes them and the tables read them; neither knows more than this.

    runs(params)            every run of the tier, each with its resolved config and its parents
    runs(params)["target/mango_s0"]

A run's name is `<arm or source>[_<data set>]_s<seed>`; with its stage it is unique and readable. An arm of the
learngene family carries its depth: `target/tleg-d6_s0`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from regrow.config import (
    Arm,
    DataConfig,
    DataRef,
    Fit,
    GrowConfig,
    Learngene,
    LearngeneConfig,
    ModelConfig,
    Params,
    Recipe,
    RunConfig,
    Stage,
    TeacherConfig,
    TimmModel,
    TrainConfig,
    basis_config,
)
from regrow.data.registry import SETS
from regrow.errors import UserError
from regrow.growth.registry import entry, target_config

NO_PRETRAINING = "no-pretraining"
"""The reference row of the transfer table: the target trained on the transfer set alone."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """One node of the DAG."""

    config: RunConfig
    arm: str
    """The arm, the source, the teacher, or `no-pretraining`: what the tables group by."""

    @property
    def stage(self) -> Stage:
        return self.config.stage

    @property
    def name(self) -> str:
        return self.config.run

    @property
    def key(self) -> str:
        """`<stage>/<run>`."""
        return f"{self.stage}/{self.name}"

    def made(self, summary: Mapping[str, Any]) -> bool:
        """Whether a record's config says the same as this run's; a new option at its default does."""
        try:
            return type(self.config).model_validate(summary.get("config")) == self.config
        except ValidationError:
            return False


@dataclass(frozen=True, kw_only=True)
class Source:
    """A run whose weights an operator starts from, and the architecture that those weights have."""

    key: str
    model: ModelConfig


@dataclass(frozen=True, kw_only=True)
class Family:
    """One target architecture, and the arms that initialise it: the study's target, or one depth of the learngene's."""

    target: ModelConfig
    arms: dict[str, Arm]
    suffix: str
    """What an arm's name ends with in the names of this family's runs."""
    train: Recipe
    fit: Fit

    def model(self, params: Params, data: DataConfig) -> ModelConfig:
        """The target at the data set's image size and number of classes."""
        return _model(params, self.target, data)


def runs(params: Params) -> dict[str, Run]:
    """Every run of the tier by its key, parents first."""
    found: list[Run] = []
    for seed in params.seeds:
        found += _growth(params, seed)
    if params.learngene:
        found.append(_teacher(params, params.learngene))
        for seed in params.seeds:
            found += _descendants(params, params.learngene, seed)
    by_key = {run.key: run for run in found}
    if len(by_key) < len(found):
        twice = next(run.key for run in found if by_key[run.key] is not run)
        raise UserError(f"params: two runs would be called {twice}; rename one of the arms or sources")
    return by_key


def _growth(params: Params, seed: int) -> list[Run]:
    """The study's growth: its sources, arms, and the transfer of what they end with."""
    found: list[Run] = []
    sources: dict[str, Source] = {}
    for name in sorted({arm.source for arm in params.arms.values() if arm.source}):
        run, sources[name] = _pretrain(params, name, params.sources[name], params.pretrain, seed)
        found.append(run)
    family = Family(target=params.target, arms=params.arms, suffix="", train=params.train, fit=params.fit)
    found += _family(params, family, sources, seed)
    for data_name, data in params.transfer_data.items():
        fresh = family.model(params, data)
        found.append(_transfer(params, NO_PRETRAINING, data_name, data, seed, fresh, init=None))
        for name in family.arms:
            trained = _grown(family, name, sources, fresh)
            found.append(_transfer(params, name, data_name, data, seed, trained, init=f"target/{name}_s{seed}"))
    return found


def _descendants(params: Params, learngene: Learngene, seed: int) -> list[Run]:
    """TLEG's study: auxiliaries, models to inherit from, and at every depth the arms and their transfer.

    What is transferred is an arm's initial weights: a learngene is expanded and fine-tuned, as a pretrained model is.
    """
    found: dict[str, Run] = {}
    learned: dict[str, Source] = {}
    for name in learngene.auxiliaries:
        run, learned[name] = _auxiliary(params, learngene, name, seed)
        found[run.key] = run
    for depth in learngene.depths:
        suffix = descendant("", depth)
        target = learngene.model.model_copy(update={"depth": depth})
        sources = dict(learned)
        for name, source in learngene.sources.items():
            model = learngene.model.model_copy(update={"depth": source.depth or depth})
            pretrained = name if source.depth else name + suffix
            run, sources[name] = _pretrain(params, pretrained, model, learngene.pretrain, seed)
            found[run.key] = run
        family = Family(
            target=target,
            arms=learngene.arms,
            suffix=suffix,
            train=learngene.train,
            fit=learngene.fit or params.fit,
        )
        found |= {run.key: run for run in _family(params, family, sources, seed)}
        if depth in learngene.transfer_depths:
            for data_name, data in params.transfer_data.items():
                for name, arm in family.arms.items():
                    if arm.operator is None and name != learngene.scratch:
                        continue  # it starts as scratch does
                    model = _grown(family, name, sources, family.model(params, data))
                    init = f"grow/{name}{suffix}_s{seed}" if arm.operator else None
                    run = _transfer(params, name + suffix, data_name, data, seed, model, init=init)
                    found[run.key] = run
    return list(found.values())


def descendant(arm: str, depth: int) -> str:
    """What an arm of the learngene's study is called at a depth."""
    return f"{arm}-d{depth}"


def data_refs(params: Params) -> dict[str, DataRef]:
    """Every packed data set of the tier, by folder name."""
    refs = [_ref(params, params.source_data), *(_ref(params, data) for data in params.transfer_data.values())]
    return {ref.folder: ref for ref in refs}


def _ref(params: Params, data: DataConfig) -> DataRef:
    if data.name not in SETS:
        raise UserError(f"data set {data.name!r} is not registered; there are: {', '.join(sorted(SETS))}")
    return DataRef(
        name=data.name,
        img_size=params.img_size,
        minival=data.minival,
        seed=params.data_seed,
        per_class=data.per_class,
    )


def _model(params: Params, model: ModelConfig, data: DataConfig) -> ModelConfig:
    """The model at the data set's image size and number of classes."""
    update = {"img_size": params.img_size, "num_classes": SETS[data.name].num_classes}
    return ModelConfig.model_validate({**model.model_dump(), **update})


def _family(params: Params, family: Family, sources: Mapping[str, Source], seed: int) -> list[Run]:
    """The grow and target runs of every arm."""
    data, found = _ref(params, params.source_data), []
    fresh = family.model(params, params.source_data)
    for name, arm in family.arms.items():
        run, target = f"{name}{family.suffix}_s{seed}", _grown(family, name, sources, fresh)
        if arm.operator:
            source = sources[arm.source] if arm.source else Source(key="", model=fresh)
            config = GrowConfig(
                run=run,
                seed=seed,
                data=data,
                operator=arm.operator,
                source=source.model,
                target=target,
                init=source.key or None,
                fit=(arm.fit or family.fit) if entry(arm.operator.name).learned else None,
            )
            found.append(Run(config=config, arm=name + family.suffix))
        trained = TrainConfig(
            stage="target",
            run=run,
            seed=seed,
            data=data,
            model=target,
            recipe=arm.train or family.train,
            init=f"grow/{run}" if arm.operator else None,
        )
        found.append(Run(config=trained, arm=name + family.suffix))
    return found


def _grown(family: Family, name: str, sources: Mapping[str, Source], fresh: ModelConfig) -> ModelConfig:
    """The architecture that an arm trains: the family's, but for what its operator must change (LEMON's eps)."""
    arm = family.arms[name]
    if arm.operator is None:
        return fresh
    if entry(arm.operator.name).source != (arm.source is not None):
        needs = "grows a trained model: give `source`" if arm.source is None else "starts from none: leave `source` out"
        raise UserError(f"arms.{name}: operator {arm.operator.name} {needs}")
    return target_config(arm.operator.name, sources[arm.source].model if arm.source else fresh, fresh)


def _pretrain(params: Params, name: str, model: ModelConfig, recipe: Recipe, seed: int) -> tuple[Run, Source]:
    config = TrainConfig(
        stage="pretrain",
        run=f"{name}_s{seed}",
        seed=seed,
        data=_ref(params, params.source_data),
        model=_model(params, model, params.source_data),
        recipe=recipe,
    )
    run = Run(config=config, arm=name)
    return run, Source(key=run.key, model=config.model)


def _teacher(params: Params, learngene: Learngene) -> Run:
    """One teacher for all seeds, of the first."""
    seed = params.seeds[0]
    model = _taught_by(params, learngene)
    name = learngene.teacher.model.name.split(".")[0].replace("_", "-")
    config = TeacherConfig(
        run=f"{name}_s{seed}",
        seed=seed,
        data=_ref(params, params.source_data),
        model=model,
        recipe=learngene.teacher.recipe,
    )
    return Run(config=config, arm=name)


def _taught_by(params: Params, learngene: Learngene) -> TimmModel:
    return learngene.teacher.model.model_copy(update={"num_classes": SETS[params.source_data.name].num_classes})


def _auxiliary(params: Params, learngene: Learngene, name: str, seed: int) -> tuple[Run, Source]:
    auxiliary = learngene.auxiliaries[name]
    config = LearngeneConfig(
        run=f"{name}_s{seed}",
        seed=seed,
        data=_ref(params, params.source_data),
        kind=auxiliary.kind,
        model=_model(params, auxiliary.model or learngene.model, params.source_data),
        recipe=auxiliary.recipe,
        distill=learngene.distill,
        teacher=_taught_by(params, learngene),
        init=_teacher(params, learngene).key,
    )
    run = Run(config=config, arm=name)
    return run, Source(key=run.key, model=basis_config(config.model, config.kind))


def _transfer(
    params: Params, name: str, data_name: str, data: DataConfig, seed: int, model: ModelConfig, *, init: str | None
) -> Run:
    config = TrainConfig(
        stage="transfer",
        run=f"{name}_{data_name}_s{seed}",
        seed=seed,
        data=_ref(params, data),
        model=model,
        recipe=_transfer_recipe(params, data),
        init=init,
        new_head=init is not None,
    )
    return Run(config=config, arm=name)


def _transfer_recipe(params: Params, data: DataConfig) -> Recipe:
    """The tier's recipe, for as long as the set asks, and what the two sets decide.

    Images are inverted at random where the set's polarity is the opposite of the source's; a set whose labels a
    flip would change is never flipped.
    """
    source, target = SETS[params.source_data.name].polarity, SETS[data.name].polarity
    opposite = "colour" not in (source, target) and source != target
    augment = params.transfer.augment
    decided = {"invert": augment.invert or opposite, "flip": augment.flip and SETS[data.name].flip}
    return params.transfer_recipe(data).model_copy(update={"augment": augment.model_copy(update=decided)})
