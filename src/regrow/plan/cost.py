"""What a run costs by closed form: FLOPs as the ledger counts them, evaluation beside them, parameters to store.

A learned operator's map and a learngene's expansion are left out: their FLOPs need the operator itself, and are those
of a few matrix products of weights a step, against a whole batch through the model.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from regrow.config import (
    DataRef,
    GrowConfig,
    LearngeneConfig,
    ModelConfig,
    Recipe,
    RunConfig,
    TeacherConfig,
    TimmModel,
    basis_config,
)
from regrow.data.manifest import Split, read_manifest
from regrow.data.registry import find_set
from regrow.models.axes import shapes
from regrow.models.flops import BACKWARD, forward_flops, train_flops


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Of one run."""

    flops: int
    """Training, with the fits of every candidate rate and a teacher's forward passes."""
    evaluation: int
    """FLOPs of reading minival and test; in no ledger and on no clock."""
    parameters: int


@dataclass(frozen=True, kw_only=True)
class Size:
    """Of a teacher, which no closed form knows."""

    forward_flops: int
    parameters: int


def cost(config: RunConfig, images: dict[Split, int], teacher: Size | None) -> Cost:
    """The cost of a run on a set of so many `images`; `teacher` is the size of the study's, where it has one."""
    if isinstance(config, GrowConfig):
        return _grow_cost(config, images)
    if isinstance(config, TeacherConfig):
        assert teacher
        if config.recipe is None:
            return Cost(
                flops=0, evaluation=_evaluation(teacher.forward_flops, 1, images), parameters=teacher.parameters
            )
        steps = config.recipe.steps(images["train"])
        evaluations = _evaluation(teacher.forward_flops, _times(config.recipe, steps), images)
        flops = (1 + BACKWARD) * steps * config.recipe.batch_size * teacher.forward_flops
        return Cost(flops=flops, evaluation=evaluations, parameters=teacher.parameters)
    recipe, steps = config.recipe, config.recipe.steps(images["train"])
    flops = _training(config.model, recipe, steps)
    stored = config.model
    if isinstance(config, LearngeneConfig):
        assert teacher
        flops += steps * recipe.batch_size * teacher.forward_flops
        stored = basis_config(config.model, config.kind)
    evaluations = _evaluation(forward_flops(config.model), _times(recipe, steps), images)
    return Cost(flops=flops, evaluation=evaluations, parameters=vit_parameters(stored))


def images_of(data: DataRef, folder: Path | None) -> dict[Split, int]:
    """The images of every split: the packed set's where it is in `folder`, else those that the registry expects."""
    if folder and (folder / data.folder / "manifest.json").exists():
        counts = dict(read_manifest(folder / data.folder).counts)
    else:
        known = find_set(data.name)
        held_out = data.minival if isinstance(data.minival, int) else round(data.minival * known.train)
        counts = {"train": known.train - held_out, "minival": held_out, "test": known.test}
    read: dict[Split, int] = {split: -(-counts[split] // data.thin) for split in ("minival", "test")}
    train = data.per_class * find_set(data.name).num_classes if data.per_class else counts["train"]
    return {"train": train, **read}


def vit_parameters(config: ModelConfig) -> int:
    """Weights and biases of a plain ViT, or of a learngene of its layers."""
    return sum(math.prod(shape) for shape in shapes(config).values())


def timm_size(config: TimmModel, img_size: int) -> Size:
    """A timm model's size, counted by torch on the meta device: no memory, no weights."""
    import torch

    from regrow.models.timm_model import build_timm
    from regrow.train.counted import counted_flops

    with torch.device("meta"), torch.no_grad():
        model = build_timm(config.model_copy(update={"pretrained": None})).eval()
        image = torch.empty(1, config.in_chans, img_size, img_size)
        flops = counted_flops(lambda: model(image))
    return Size(forward_flops=flops, parameters=sum(tensor.numel() for tensor in model.state_dict().values()))


def _grow_cost(config: GrowConfig, images: dict[Split, int]) -> Cost:
    """The fits, and minival before them and in each."""
    flops, times = 0, 1
    if config.fit:
        recipe, rates = config.fit.recipe, len(config.fit.lr_candidates)
        steps = recipe.steps(images["train"])
        flops, times = rates * _training(config.target, recipe, steps), 1 + rates * _times(recipe, steps)
    evaluations = times * images["minival"] * forward_flops(config.target)
    return Cost(flops=flops, evaluation=evaluations, parameters=vit_parameters(config.target))


def _training(model: ModelConfig, recipe: Recipe, steps: int) -> int:
    """Of a recipe with sub-models (bert2BERT's first stage) what is expected: their depth is drawn at every step."""
    if recipe.sub_models is None:
        return steps * recipe.batch_size * train_flops(model)
    layers, first = recipe.sub_models.layers, round(recipe.sub_models.share * steps)
    forward = {depth: forward_flops(model.model_copy(update={"depth": depth})) for depth in range(1, model.depth + 1)}
    depths = range(layers, model.depth + 1, layers)
    learned = layers * (forward[2] - forward[1]) + 2 * model.embed_dim * model.num_classes
    image = sum(forward[depth] for depth in depths) / len(depths) + BACKWARD * learned
    return round(recipe.batch_size * (first * image + (steps - first) * train_flops(model)))


def _times(recipe: Recipe, steps: int) -> int:
    """How often minival is read: before the first step, then evenly spaced."""
    return 1 + min(recipe.evaluations, steps)


def _evaluation(forward: int, times: int, images: dict[Split, int]) -> int:
    return forward * (times * images["minival"] + images["test"])
