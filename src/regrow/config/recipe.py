"""How a model, an operator or a learngene is trained."""

from __future__ import annotations

import math
import re
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from regrow.config.base import Frozen, switch
from regrow.config.named import resolve
from regrow.errors import UserError


class Augment(Frozen):
    """Per-image augmentation, applied to whole batches on the device. The switches are timm's and DeiT's."""

    resized_crop: tuple[float, float] | None = switch(
        None, "least and most share of the image's area that is cropped and resized back (timm's `scale`)"
    )
    crop_pad: int = Field(default=0, ge=0, description="pixels of padding before a random crop back to size")
    flip: bool = Field(default=False, description="horizontal flip with probability 1/2")
    invert: bool = Field(default=False, description="invert the brightness with probability 1/2")
    rand_augment: float = switch(0.0, "magnitude M of timm's rand-mM-mstd0.5-inc1", ge=0, le=10)
    erase: float = switch(0.0, "probability that a rectangle becomes noise (timm's `reprob`, mode pixel)", ge=0, le=1)

    @model_validator(mode="after")
    def _crop(self) -> Self:
        if self.resized_crop and not 0 < self.resized_crop[0] <= self.resized_crop[1] <= 1:
            raise ValueError(f"resized_crop {self.resized_crop}: expected 0 < least <= most <= 1")
        return self


DURATION = re.compile(r"^\s*([0-9][0-9_.]*)\s*(steps?|epochs?|examples?)\s*$")


class SubModels(Frozen):
    """bert2BERT's first stage (Chen et al., ACL 2022): train the bottom of the model at a random depth.

    A step takes the lowest n * `layers` blocks, n at random, and updates the uppermost `layers` of them and the head.
    """

    share: float = Field(gt=0, lt=1, description="share of the steps; the rest trains the whole model")
    layers: int = Field(gt=0, description="blocks between two sub-models; it divides the depth")


class Recipe(Frozen):
    """How a model, or an operator, is trained. `duration` reads '3 epochs', '800 steps' or '120_000 examples'.

    In a params file `like: deit` takes what is not given from a named recipe (`regrow.config.named`).
    """

    duration: str
    batch_size: int = Field(gt=0)
    lr: float = Field(gt=0, description="peak learning rate")
    min_lr: float = Field(default=0.0, ge=0)
    warmup: Annotated[float, Field(ge=0, lt=1)] | str = Field(
        default=0.0, description="linear warm-up: a share of the steps, or a duration of its own ('5 epochs')"
    )
    weight_decay: float = Field(default=0.05, ge=0)
    betas: tuple[float, float] = (0.9, 0.999)
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    grad_clip: float | None = Field(default=None, gt=0, description="largest gradient norm")
    drop_path: float = Field(default=0.0, ge=0, lt=1)
    mixup: float = switch(0.0, "alpha of Mixup; with `cutmix` each batch gets one of the two", ge=0)
    cutmix: float = switch(0.0, "alpha of CutMix", ge=0)
    repeated_augment: int = switch(1, "copies of an image in a row, each augmented on its own", gt=0)
    ema: float | None = switch(None, "decay of the weights' moving average, which is what is then measured", gt=0, lt=1)
    augment: Augment = Augment()
    evaluations: int = Field(default=20, gt=0, description="evenly spaced minival evaluations, the last at the end")
    precision: Literal["float32", "bfloat16"] = "float32"
    sub_models: SubModels | None = Field(default=None, description="bert2BERT's two-stage training")

    @model_validator(mode="before")
    @classmethod
    def _named(cls, given: Any) -> Any:
        return resolve(given)

    @model_validator(mode="after")
    def _parses(self) -> Self:
        self.steps(1)
        if isinstance(self.warmup, str):
            self._duration_steps(self.warmup, 1)
        if (self.mixup or self.cutmix) and self.batch_size % 2:
            raise ValueError(f"batch_size {self.batch_size} must be even, because Mixup and CutMix mix pairs")
        return self

    def steps(self, train_size: int) -> int:
        """The number of optimiser steps on a training set of `train_size` images."""
        return self._duration_steps(self.duration, train_size)

    def warmup_steps(self, train_size: int) -> int:
        """How many of the steps are warm-up.

        Raises:
            UserError: the warm-up is as long as the training.
        """
        steps = self.steps(train_size)
        if isinstance(self.warmup, float):
            return math.ceil(self.warmup * steps)
        warmup = self._duration_steps(self.warmup, train_size)
        if warmup >= steps:
            raise UserError(f"warmup: {self.warmup!r} is not less than the duration {self.duration!r}; shorten it")
        return warmup

    def _duration_steps(self, duration: str, train_size: int) -> int:
        match = DURATION.match(duration)
        if not match:
            raise ValueError(f"duration {duration!r} is not like '3 epochs', '800 steps' or '120_000 examples'")
        amount, unit = float(match[1].replace("_", "")), match[2].rstrip("s")
        if amount <= 0:
            raise ValueError(f"duration {duration!r} must be more than 0")
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
