"""Typed, frozen configuration: a params file (one tier of the study) and the resolved config of one run.

An unknown key is an error that names the nearest valid one. Nothing here imports torch: Snakemake, the
report and `regrow --help` read these types at every start.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import math
import re
from pathlib import Path
from typing import Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from regrow.errors import UserError

Stage = Literal["pretrain", "grow", "target", "transfer"]
STAGES: tuple[Stage, ...] = ("pretrain", "grow", "target", "transfer")


class Frozen(BaseModel):
    """Keyword-only, immutable, strict about its keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class ModelConfig(Frozen):
    """A plain ViT in timm's words; `img_size` and `num_classes` come from the data set."""

    embed_dim: int = Field(gt=0)
    depth: int = Field(gt=0)
    num_heads: int = Field(gt=0)
    patch_size: int = Field(gt=0)
    mlp_ratio: float = Field(default=4.0, gt=0)
    class_token: bool = True
    img_size: int = Field(default=0, ge=0)
    num_classes: int = Field(default=0, ge=0)
    in_chans: int = 3
    norm_eps: float = 1e-6

    @model_validator(mode="after")
    def _divisible(self) -> Self:
        if self.embed_dim % self.num_heads:
            raise ValueError(f"embed_dim {self.embed_dim} is not a multiple of num_heads {self.num_heads}")
        if self.img_size % self.patch_size:
            raise ValueError(f"img_size {self.img_size} is not a multiple of patch_size {self.patch_size}")
        return self

    @property
    def head_dim(self) -> int:
        return self.embed_dim // self.num_heads

    @property
    def mlp_dim(self) -> int:
        return int(self.embed_dim * self.mlp_ratio)

    @property
    def num_tokens(self) -> int:
        """Patches, and the class token where there is one."""
        return (self.img_size // self.patch_size) ** 2 + int(self.class_token)


class Augment(Frozen):
    """Per-image augmentation, applied to whole batches on the device."""

    crop_pad: int = Field(default=0, ge=0, description="pixels of padding before a random crop back to size")
    flip: bool = Field(default=False, description="horizontal flip with probability 1/2")
    invert: bool = Field(default=False, description="invert the brightness with probability 1/2")


DURATION = re.compile(r"^\s*([0-9][0-9_.]*)\s*(steps?|epochs?|examples?)\s*$")


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


class OperatorConfig(Frozen):
    """An operator's registered name and its options; the operator's own class checks the options."""

    name: str
    options: dict[str, Any] = {}


class Arm(Frozen):
    """One row of the growth table: where the target's initial weights come from."""

    label: str
    operator: OperatorConfig | None = Field(default=None, description="absent: trained from scratch")
    source: str | None = Field(default=None, description="the model in `sources` that is grown")
    fit: Fit | None = Field(default=None, description="instead of the tier's `fit`, for a learned operator")

    @model_validator(mode="after")
    def _grown_by_something(self) -> Self:
        if self.source is not None and self.operator is None:
            raise ValueError("an arm with a `source` needs an `operator`; scratch has neither")
        return self


class DataConfig(Frozen):
    """The set that models are pretrained and grown on, and the sets they are transferred to."""

    name: str
    minival: int | float = Field(gt=0, description="training images held out for every choice: a number or a share")
    per_class: int | None = Field(default=None, gt=0, description="few-shot: training images kept per class")


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
    rule: TargetRule = TargetRule()

    @model_validator(mode="after")
    def _references(self) -> Self:
        if self.scratch not in self.arms or self.arms[self.scratch].operator is not None:
            raise ValueError(f"scratch: {self.scratch!r} must name an arm without an operator")
        for name, arm in self.arms.items():
            if arm.source is not None and arm.source not in self.sources:
                raise ValueError(f"arms.{name}.source: {arm.source!r} is not one of sources: {', '.join(self.sources)}")
        for name in [*self.arms, *self.sources, *self.transfer_data]:
            if not re.fullmatch(r"[a-z0-9][a-z0-9.-]*", name):
                raise ValueError(f"{name!r}: names are made of a-z, 0-9, '.' and '-', because they become file names")
        return self


class DataRef(Frozen):
    """A packed data set and the part of it that a run trains on."""

    name: str
    img_size: int
    minival: int | float
    seed: int
    per_class: int | None = None

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
    """A run that makes a target's initial weights from a source's trained ones."""

    stage: Literal["grow"] = "grow"
    operator: OperatorConfig
    source: ModelConfig
    target: ModelConfig
    init: str | None = Field(description="'pretrain/<run>' of the source; none: the source's fresh weights")
    fit: Fit | None = Field(default=None, description="only a learned operator has one")


RunConfig = TrainConfig | GrowConfig


def canonical(config: BaseModel) -> str:
    """The one JSON text of a config: what is hashed, written and compared."""
    return json.dumps(config.model_dump(mode="json"), sort_keys=True, indent=1)


def digest(config: BaseModel) -> str:
    """sha256 of the canonical text, in hex."""
    return hashlib.sha256(canonical(config).encode()).hexdigest()


def load_params(path: Path) -> Params:
    """Read and check a params file."""
    try:
        raw = yaml.safe_load(path.read_text())
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such params file; the shipped tiers are in params/") from error
    except yaml.YAMLError as error:
        raise UserError(f"{path}: not valid YAML: {error}") from error
    try:
        return Params.model_validate(raw)
    except ValidationError as error:
        raise UserError(explain(error, path, Params)) from error


def load_run(path: Path) -> RunConfig:
    """Read and check the resolved config of one run."""
    try:
        raw = json.loads(path.read_text())
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such config; `regrow config PARAMS STAGE/RUN` prints one") from error
    except json.JSONDecodeError as error:
        raise UserError(f"{path}: not valid JSON: {error}; delete it and let Snakemake write it again") from error
    kind = GrowConfig if isinstance(raw, dict) and raw.get("stage") == "grow" else TrainConfig
    try:
        return kind.model_validate(raw)
    except ValidationError as error:
        raise UserError(explain(error, path, kind)) from error


def explain(error: ValidationError, path: Path, root: type[BaseModel]) -> str:
    """One line per problem: the file, the key, what is wrong, and for an unknown key the nearest valid one."""
    lines = []
    for problem in error.errors():
        where = ".".join(str(part) for part in problem["loc"]) or "(top level)"
        text = problem["msg"].removeprefix("Value error, ")
        if problem["type"] == "extra_forbidden":
            valid = _fields_at(root, problem["loc"][:-1])
            near = difflib.get_close_matches(str(problem["loc"][-1]), valid, n=1, cutoff=0.0)
            text = f"unknown key; did you mean {near[0]!r}?" if near else "unknown key"
            text += f" (valid: {', '.join(valid)})" if valid else ""
        elif problem["type"] not in ("missing", "value_error"):
            text += f", got {problem['input']!r}"
        lines.append(f"{path}: {where}: {text}")
    return "\n".join(lines)


def _fields_at(root: type[BaseModel], loc: tuple[int | str, ...]) -> list[str]:
    """The valid keys of the model that an error location points into; a dict's own keys are passed over."""
    model = root
    for part in loc:
        field = model.model_fields.get(str(part))
        if field and (inner := _models_in(field.annotation)):
            model = inner[0]
    return sorted(model.model_fields)


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for arg in getattr(annotation, "__args__", ()) for model in _models_in(arg)]
