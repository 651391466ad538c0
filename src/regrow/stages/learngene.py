"""`learngene`: distil the teacher into a learngene through its auxiliary net (TLEG, AAAI 2024).

What is trained, and written, is the learngene: the basis that `expand` maps to the auxiliary net's layers.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from regrow.config import LearngeneConfig
from regrow.errors import UserError
from regrow.expand import expand
from regrow.growth.learngene import auxiliary_basis, auxiliary_maps
from regrow.models.axes import decays
from regrow.models.flops import forward_flops as vit_flops
from regrow.models.flops import train_flops
from regrow.models.timm_model import build_timm, expect
from regrow.models.vit import Tensors, build
from regrow.stages.images import Images
from regrow.stages.outcome import Place, train_and_measure
from regrow.stages.teacher import forward_flops
from regrow.train.checkpoint import load_tensors
from regrow.train.counted import map_flops
from regrow.train.distill import distilled, soft_distillation
from regrow.train.seeds import derive
from regrow.train.task import Task


def run(config: LearngeneConfig, place: Place) -> None:
    """Train the learngene by distillation, read the test set once with its auxiliary net, write the learngene."""
    if place.init is None:
        raise UserError(f"learngene/{config.run}: its config distils {config.init}; give --init WEIGHTS")
    device = place.torch_device()
    images = Images.load(config, place.data, device, in_chans=config.model.in_chans)
    state, metadata = load_tensors(place.init)
    teacher = expect(build_timm(config.teacher, weights=state), config.teacher, images.train.mean, images.train.std)
    teacher = teacher.to(device).eval()

    def loss(logits: Tensor, pixels: Tensor, labels: Tensor) -> Tensor:
        """(1 - alpha) * label loss + alpha * distillation."""
        with torch.no_grad():
            taught = teacher(pixels).float()
        labelled = cross_entropy(logits, labels, label_smoothing=config.recipe.label_smoothing)
        return distilled(labelled, soft_distillation(logits, taught, config.distill.tau), config.distill.alpha)

    start = auxiliary_basis(config.model, config.kind, derive(config.seed, "init"))
    basis = {name: tensor.to(device) for name, tensor in start.items()}
    maps = auxiliary_maps(config.model, config.kind, basis)
    batch, taught_flops = config.recipe.batch_size, forward_flops(teacher, images.minival)

    def weights(trained: Tensors) -> Tensors:
        return expand(trained, maps)

    task = Task(
        label=f"learngene {config.run}",
        model=build(config.model, drop_path=config.recipe.drop_path).to(device),
        trained=basis,
        weights=weights,
        decays=decays,
        train=images.train,
        minival=images.minival,
        recipe=config.recipe,
        seed=config.seed,
        fast=place.fast,
        flops_per_step=batch * train_flops(config.model) + map_flops(weights, basis),
        loss=loss,
    )
    steps = config.recipe.steps(len(images.train))
    summary = {
        "forward_flops_per_image": vit_flops(config.model),
        "teacher_flops": steps * batch * taught_flops,
    }
    train_and_measure(task, config, place, images, {"init": metadata["sha256"]}, summary)
