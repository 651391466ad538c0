"""A family: one target architecture, the arms that initialise it, and their runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from regrow.config import Arm, DataConfig, Fit, GrowConfig, ModelConfig, Params, Recipe, TrainConfig
from regrow.errors import UserError
from regrow.growth.registry import entry, target_config
from regrow.study.data import data_ref, sized
from regrow.study.run import Run


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
        return sized(params, self.target, data)


def family_runs(params: Params, family: Family, sources: Mapping[str, Source], seed: int) -> list[Run]:
    """The grow and target runs of every arm."""
    data, found = data_ref(params, params.source_data), []
    fresh = family.model(params, params.source_data)
    for name, arm in family.arms.items():
        run, target = f"{name}{family.suffix}_s{seed}", grown(family, name, sources, fresh)
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


def grown(family: Family, name: str, sources: Mapping[str, Source], fresh: ModelConfig) -> ModelConfig:
    """The architecture that an arm trains: the family's, but for what its operator must change (LEMON's eps)."""
    arm = family.arms[name]
    if arm.operator is None:
        return fresh
    if entry(arm.operator.name).source != (arm.source is not None):
        needs = "grows a trained model: give `source`" if arm.source is None else "starts from none: leave `source` out"
        raise UserError(f"arms.{name}: operator {arm.operator.name} {needs}")
    return target_config(arm.operator.name, sources[arm.source].model if arm.source else fresh, fresh)


def pretrain_run(params: Params, name: str, model: ModelConfig, recipe: Recipe, seed: int) -> tuple[Run, Source]:
    """A model that arms start from: its training on the source's data, and what they are given of it."""
    config = TrainConfig(
        stage="pretrain",
        run=f"{name}_s{seed}",
        seed=seed,
        data=data_ref(params, params.source_data),
        model=sized(params, model, params.source_data),
        recipe=recipe,
    )
    run = Run(config=config, arm=name)
    return run, Source(key=run.key, model=config.model)
