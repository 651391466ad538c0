"""A params file: one tier of the study."""

from __future__ import annotations

import re
from typing import Literal, Self

from pydantic import Field, model_validator

from regrow.config.arm import Arm
from regrow.config.base import Frozen, switch
from regrow.config.learngene import Learngene
from regrow.config.model import ModelConfig
from regrow.config.recipe import Fit, Recipe


class DataConfig(Frozen):
    """The set that models are pretrained and grown on, and the sets they are transferred to."""

    name: str
    minival: int | float = Field(gt=0, description="training images held out for every choice: a number or a share")
    per_class: int | None = Field(default=None, gt=0, description="few-shot: training images kept per class")
    duration: str | None = Field(default=None, description="of a transfer to it, instead of the tier's")
    thin: int = switch(1, "measure on one in so many images of minival and test: for rehearsals", gt=0)


class TargetRule(Frozen):
    """The metric that an arm must reach, fixed before the runs: scratch's final minival metric, smoothed."""

    metric: Literal["minival_accuracy"] = "minival_accuracy"
    smooth: int = Field(default=3, gt=0, description="evaluations in the running median that damps noise")


class Params(Frozen):
    """One tier of the study: everything that decides a number. Cores, devices and paths are not in here."""

    tier: str
    description: str
    seeds: tuple[int, ...] = Field(min_length=1)
    img_size: int = Field(gt=0)
    data_seed: int = 0
    source_data: DataConfig
    transfer_data: dict[str, DataConfig]
    sources: dict[str, ModelConfig]
    target: ModelConfig
    pretrain: Recipe
    train: Recipe
    fit: Fit
    transfer: Recipe
    scratch: str = Field(description="the arm that sets the target metric")
    arms: dict[str, Arm]
    learngene: Learngene | None = None
    rule: TargetRule = TargetRule()

    def transfer_recipe(self, data: DataConfig) -> Recipe:
        """The tier's recipe of a transfer, for as long as the set asks."""
        return self.transfer.model_copy(update={"duration": data.duration}) if data.duration else self.transfer

    @model_validator(mode="after")
    def _references(self) -> Self:
        if self.scratch not in self.arms or self.arms[self.scratch].operator is not None:
            raise ValueError(f"scratch: {self.scratch!r} must name an arm without an operator")
        for name, arm in self.arms.items():
            if arm.source is not None and arm.source not in self.sources:
                raise ValueError(f"arms.{name}.source: {arm.source!r} is not one of sources: {', '.join(self.sources)}")
        if self.source_data.duration:
            raise ValueError("source_data.duration: only a transfer set has its own; see `pretrain` and `train`")
        for data in self.transfer_data.values():
            self.transfer_recipe(data).steps(1)
        names = [*self.arms, *self.sources, *self.transfer_data]
        if self.learngene:
            names += [*self.learngene.arms, *self.learngene.auxiliaries, *self.learngene.sources]
        for name in names:
            if not re.fullmatch(r"[a-z0-9][a-z0-9.-]*", name):
                raise ValueError(f"{name!r}: names are made of a-z, 0-9, '.' and '-', because they become file names")
        return self
