"""`pretrain`, `target` and `transfer`: train one ViT on one set, from scratch or from given weights."""

from __future__ import annotations

from regrow.config import TrainConfig
from regrow.models.axes import decays
from regrow.models.flops import forward_flops, train_flops
from regrow.models.vit import build
from regrow.stages.images import Images
from regrow.stages.outcome import Place, initial_weights, train_and_measure
from regrow.train.sub_models import first_stage
from regrow.train.task import Task


def run(config: TrainConfig, place: Place) -> None:
    """Train, read the test set once, write the outcome."""
    device = place.torch_device()
    images = Images.load(config, place.data, device, in_chans=config.model.in_chans)
    init, inputs = initial_weights(config, config.model, place, new_head=config.new_head)
    task = Task(
        label=f"{config.stage} {config.run}",
        model=build(config.model, drop_path=config.recipe.drop_path).to(device),
        trained={name: tensor.to(device) for name, tensor in init.items()},
        weights=lambda trained: trained,
        decays=decays,
        train=images.train,
        minival=images.minival,
        recipe=config.recipe,
        seed=config.seed,
        fast=place.fast,
        flops_per_step=config.recipe.batch_size * train_flops(config.model),
        first_stage=first_stage(config.model, config.recipe, len(images.train), config.seed),
    )
    summary = {"forward_flops_per_image": forward_flops(config.model)}
    train_and_measure(task, config, place, images, inputs, summary)
