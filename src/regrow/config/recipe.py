"""How a model, an operator or a learngene is trained."""

from __future__ import annotations

import math
import re
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from regrow.config.base import Frozen


class Augment(Frozen):
    """Per-image augmentation, applied to whole batches on the device."""

    crop_pad: int = Field(default=0, ge=0, description="pixels of padding before a random crop back to size")
    flip: bool = Field(default=False, description="horizontal flip with probability 1/2")
    invert: bool = Field(default=False, description="invert the brightness with probability 1/2")


DURATION = re.compile(r"^\s*([0-9][0-9_.]*)\s*(steps?|epochs?|examples?)\s*$")


class SubModels(Frozen):
    """bert2BERT's first stage (Chen et al., ACL 2022): train the bottom of the model at a random depth.

    A step takes the lowest n * `layers` blocks, n at random, and updates the uppermost `layers` of them and the head.
    """

    share: float = Field(gt=0, lt=1, description="share of the steps; the rest trains the whole model")
    layers: int = Field(gt=0, description="blocks between two sub-models; it divides the depth")


class Recipe(Frozen):
    """How a model, or an operator, is trained. `duration` reads '3 epochs', '800 steps' or '120_000 examples'."""

    duration: str
    batch_size: int = Field(gt=0)
    lr: float = Field(gt=0, description="peak learning rate")
    min_lr: float = Field(default=0.0, ge=0)
    warmup: float = Field(default=0.0, ge=0, lt=1, description="share of the steps with a linear warm-up")
    weight_decay: float = Field(default=0.05, ge=0)
    betas: tuple[float, float] = (0.9, 0.999)
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    grad_clip: float | None = Field(default=None, gt=0, description="largest gradient norm")
    drop_path: float = Field(default=0.0, ge=0, lt=1)
    augment: Augment = Augment()
    evaluations: int = Field(default=20, gt=0, description="evenly spaced minival evaluations, the last at the end")
    precision: Literal["float32", "bfloat16"] = "float32"
    sub_models: SubModels | None = Field(default=None, description="bert2BERT's two-stage training")

    @model_validator(mode="after")
    def _parses(self) -> Self:
        self.steps(1)
        return self

    def steps(self, train_size: int) -> int:
        """The number of optimiser steps on a training set of `train_size` images."""
        match = DURATION.match(self.duration)
        if not match:
            raise ValueError(f"duration {self.duration!r} is not like '3 epochs', '800 steps' or '120_000 examples'")
        amount, unit = float(match[1].replace("_", "")), match[2].rstrip("s")
        if amount <= 0:
            raise ValueError(f"duration {self.duration!r} must be more than 0")
        if unit == "step":
            return math.ceil(amount)
        examples = amount * train_size if unit == "epoch" else amount
        return max(1, round(examples / self.batch_size))


class Fit(Frozen):
    """How a learned operator is fitted: each candidate rate gets the same recipe, minival chooses.

    The rule: the candidate with the lowest minival loss at the end of its fit is kept.
    """

    recipe: Recipe
    lr_candidates: tuple[float, ...] = Field(min_length=1)


class Distill(Frozen):
    """Soft distillation as in TLEG: (1 - alpha) * label loss + alpha * KL at temperature tau / (batch * classes)."""

    alpha: float = Field(default=1.0, ge=0, le=1)
    tau: float = Field(default=1.0, gt=0)


class OperatorConfig(Frozen):
    """An operator's registered name and its options; the operator's own class checks the options."""

    name: str
    options: dict[str, Any] = Field(default={})
