"""The resolved config of one run."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from regrow.config.base import Frozen, switch
from regrow.config.model import Kind, ModelConfig, TimmModel
from regrow.config.recipe import Distill, Fit, OperatorConfig, Recipe

Stage = Literal["teacher", "learngene", "pretrain", "grow", "target", "transfer"]
STAGES: tuple[Stage, ...] = ("teacher", "learngene", "pretrain", "grow", "target", "transfer")


class DataRef(Frozen):
    """A packed data set and the part of it that a run trains on."""

    name: str
    img_size: int
    minival: int | float
    seed: int
    per_class: int | None = None
    thin: int = switch(1, "measured on one in so many images of minival and test", gt=0)

    @property
    def folder(self) -> str:
        """The packed set's folder name. Everything that decides its bytes is in it."""
        return f"{self.name}-{self.img_size}px-val{self.minival}-s{self.seed}"


class _Run(Frozen):
    run: str
    seed: int
    data: DataRef


class TrainConfig(_Run):
    """A run that trains a model: `pretrain`, `target` or `transfer`."""

    stage: Literal["pretrain", "target", "transfer"]
    model: ModelConfig
    recipe: Recipe
    init: str | None = Field(default=None, description="'<stage>/<run>' whose weights it starts from")
    new_head: bool = Field(default=False, description="the classifier starts fresh: another label set")


class GrowConfig(_Run):
    """A run that makes a target's initial weights from a source's trained ones, or from a learngene."""

    stage: Literal["grow"] = "grow"
    operator: OperatorConfig
    source: ModelConfig
    target: ModelConfig
    init: str | None = Field(description="'<stage>/<run>' of the source; none: the source's fresh weights")
    fit: Fit | None = Field(default=None, description="only a learned operator has one")


class TeacherConfig(_Run):
    """A run that trains the teacher, or takes pretrained weights and measures them."""

    stage: Literal["teacher"] = "teacher"
    model: TimmModel
    recipe: Recipe | None
    init: None = None


class LearngeneConfig(_Run):
    """A run that distils the teacher into a learngene through its auxiliary net; its weights are the learngene."""

    stage: Literal["learngene"] = "learngene"
    kind: Kind
    model: ModelConfig = Field(description="the auxiliary net")
    recipe: Recipe
    distill: Distill
    teacher: TimmModel
    init: str = Field(description="'teacher/<run>', whose logits are distilled")


RunConfig = TrainConfig | GrowConfig | TeacherConfig | LearngeneConfig


CONFIGS: dict[str, type[RunConfig]] = {"teacher": TeacherConfig, "learngene": LearngeneConfig, "grow": GrowConfig}
"""The type of a stage's config; every other stage has a `TrainConfig`."""
