"""The part of a params file that is TLEG's study."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from regrow.config.arm import Arm
from regrow.config.base import Frozen
from regrow.config.model import Kind, ModelConfig, TimmModel
from regrow.config.recipe import Distill, Fit, Recipe


class Teacher(Frozen):
    """The model that a learngene is distilled from: trained here by `recipe`, or pretrained."""

    model: TimmModel
    recipe: Recipe | None = None

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        if (self.recipe is None) == (self.model.pretrained is None):
            raise ValueError("a teacher needs `recipe` (it is trained here) or `model.pretrained`, and not both")
        return self


class Auxiliary(Frozen):
    """An auxiliary net, whose layers are the expansion of the learngene that is trained through it.

    `tleg`: theta_B + (l - 1) / L theta_A. `share`: the same layer everywhere.
    """

    kind: Kind
    model: ModelConfig | None = Field(default=None, description="instead of the family's `model`: another width")
    recipe: Recipe


class PretrainedSource(Frozen):
    """A model of the family trained on its own, to be inherited from."""

    depth: int | None = Field(default=None, gt=0, description="absent: one model for every depth of the family")


class Learngene(Frozen):
    """TLEG's study: models of several depths, initialised from one learngene and in every other way."""

    teacher: Teacher
    distill: Distill = Distill()
    model: ModelConfig = Field(description="the family; its depth is the auxiliary net's")
    auxiliaries: dict[str, Auxiliary]
    sources: dict[str, PretrainedSource] = Field(default={}, description="what the arms inherit from")
    depths: tuple[int, ...] = Field(min_length=1, description="of the descendants")
    transfer_depths: tuple[int, ...] = Field(default=(), description="of those whose initial weights are transferred")
    pretrain: Recipe
    train: Recipe
    fit: Fit | None = Field(default=None, description="instead of the tier's `fit`, for a learned operator")
    scratch: str = "scratch"
    arms: dict[str, Arm]

    @model_validator(mode="after")
    def _references(self) -> Self:
        if self.model.class_token:
            raise ValueError("model.class_token must be false: descendants and auxiliary net average their tokens")
        if self.scratch not in self.arms or self.arms[self.scratch].operator is not None:
            raise ValueError(f"scratch: {self.scratch!r} must name an arm without an operator")
        if both := sorted(set(self.auxiliaries) & set(self.sources)):
            raise ValueError(f"{both[0]!r} is the name of an auxiliary and of a source")
        known = [*self.auxiliaries, *self.sources]
        for name, arm in self.arms.items():
            if arm.source is not None and arm.source not in known:
                raise ValueError(f"arms.{name}.source: {arm.source!r} is not one of {', '.join(known)}")
        if missing := sorted(set(self.transfer_depths) - set(self.depths)):
            raise ValueError(f"transfer_depths: {missing[0]} is not one of depths")
        return self
