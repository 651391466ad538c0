"""The one list of runs. The Snakefile makes them and the tables read them; neither knows more than this.

    runs(params)            every run of the tier, each with its resolved config and its parents
    runs(params)["target/mango_s0"]

A run's name is `<arm or source>[_<data set>]_s<seed>`; with its stage it is unique and readable.
"""

from __future__ import annotations

from dataclasses import dataclass

from regrow.config import (
    Arm,
    DataConfig,
    DataRef,
    GrowConfig,
    ModelConfig,
    Params,
    Recipe,
    RunConfig,
    Stage,
    TrainConfig,
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
    """The arm, the source model, or `no-pretraining`: what the tables group by."""

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


def runs(params: Params) -> dict[str, Run]:
    """Every run of the tier by its key, parents first."""
    found: list[Run] = []
    for seed in params.seeds:
        for source in sorted({arm.source for arm in params.arms.values() if arm.source}):
            found.append(_pretrain(params, source, seed))
        for name, arm in params.arms.items():
            if arm.operator:
                found.append(_grow(params, name, arm, seed))
            found.append(_target(params, name, arm, seed))
        for data_name, data in params.transfer_data.items():
            for name in [NO_PRETRAINING, *params.arms]:
                found.append(_transfer(params, name, data_name, data, seed))
    return {run.key: run for run in found}


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


def _source(params: Params, name: str, data: DataConfig) -> ModelConfig:
    """The architecture that an arm's operator starts from; the target's own where it needs no trained source."""
    arm = params.arms[name]
    assert arm.operator
    if entry(arm.operator.name).source != (arm.source is not None):
        needs = "grows a trained model: give `source`" if arm.source is None else "starts from none: leave `source` out"
        raise UserError(f"arms.{name}: operator {arm.operator.name} {needs}")
    return _model(params, params.sources[arm.source] if arm.source else params.target, data)


def _grown(params: Params, name: str, data: DataConfig) -> ModelConfig:
    """The architecture that an arm trains: the study's target, but for what its operator must change (LEMON's eps)."""
    target = _model(params, params.target, data)
    operator = params.arms[name].operator
    return target_config(operator.name, _source(params, name, data), target) if operator else target


def _pretrain(params: Params, source: str, seed: int) -> Run:
    data = _ref(params, params.source_data)
    config = TrainConfig(
        stage="pretrain",
        run=f"{source}_s{seed}",
        seed=seed,
        data=data,
        model=_model(params, params.sources[source], params.source_data),
        recipe=params.pretrain,
    )
    return Run(config=config, arm=source)


def _grow(params: Params, name: str, arm: Arm, seed: int) -> Run:
    assert arm.operator
    config = GrowConfig(
        run=f"{name}_s{seed}",
        seed=seed,
        data=_ref(params, params.source_data),
        operator=arm.operator,
        source=_source(params, name, params.source_data),
        target=_grown(params, name, params.source_data),
        init=f"pretrain/{arm.source}_s{seed}" if arm.source else None,
        fit=(arm.fit or params.fit) if entry(arm.operator.name).learned else None,
    )
    return Run(config=config, arm=name)


def _target(params: Params, name: str, arm: Arm, seed: int) -> Run:
    config = TrainConfig(
        stage="target",
        run=f"{name}_s{seed}",
        seed=seed,
        data=_ref(params, params.source_data),
        model=_grown(params, name, params.source_data),
        recipe=params.train,
        init=f"grow/{name}_s{seed}" if arm.operator else None,
    )
    return Run(config=config, arm=name)


def _transfer(params: Params, name: str, data_name: str, data: DataConfig, seed: int) -> Run:
    fresh = name == NO_PRETRAINING
    config = TrainConfig(
        stage="transfer",
        run=f"{name}_{data_name}_s{seed}",
        seed=seed,
        data=_ref(params, data),
        model=_model(params, params.target, data) if fresh else _grown(params, name, data),
        recipe=_transfer_recipe(params, data),
        init=None if fresh else f"target/{name}_s{seed}",
        new_head=not fresh,
    )
    return Run(config=config, arm=name)


def _transfer_recipe(params: Params, data: DataConfig) -> Recipe:
    """The tier's recipe, and what the two sets decide.

    Images are inverted at random where the set's polarity is the opposite of the source's; a set whose labels a
    flip would change is never flipped.
    """
    source, target = SETS[params.source_data.name].polarity, SETS[data.name].polarity
    opposite = "colour" not in (source, target) and source != target
    augment = params.transfer.augment
    decided = {"invert": augment.invert or opposite, "flip": augment.flip and SETS[data.name].flip}
    return params.transfer.model_copy(update={"augment": augment.model_copy(update=decided)})
