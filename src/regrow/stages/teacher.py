"""`teacher`: train the model that learngenes are distilled from, or take pretrained weights and measure them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from regrow.config import TeacherConfig
from regrow.errors import UserError
from regrow.models.flops import BACKWARD
from regrow.models.timm_model import build_timm, expect
from regrow.stages.images import Images
from regrow.stages.outcome import Place, measured, train_and_measure, write_outcome
from regrow.train.batches import ImageTensors
from regrow.train.counted import counted_flops
from regrow.train.evaluation import evaluate
from regrow.train.seeds import derive
from regrow.train.state import History
from regrow.train.task import Task


def run(config: TeacherConfig, place: Place) -> None:
    """Train the teacher by its recipe, or load it; read the test set once, write the outcome."""
    device = place.torch_device()
    images = Images.load(config, place.data, device, in_chans=config.model.in_chans)
    model = build_timm(config.model, seed=derive(config.seed, "init")).to(device)
    expect(model, config.model, images.train.mean, images.train.std)
    flops = forward_flops(model, images.minival)
    summary = {"forward_flops_per_image": flops}
    if config.recipe is None:
        _write_pretrained(model, config, place, images, summary)
        return
    if device.type == "cpu" and config.recipe.precision == "bfloat16":
        refuse_bfloat16(model, images.minival.pixels(slice(0, 1)))
    weights = {name: tensor.detach() for name, tensor in model.named_parameters()}
    task = Task(
        label=f"teacher {config.run}",
        model=model,
        trained=weights,
        weights=lambda trained: trained,
        decays=lambda name: weights[name].ndim > 1,
        train=images.train,
        minival=images.minival,
        recipe=config.recipe,
        seed=config.seed,
        fast=place.fast,
        flops_per_step=(1 + BACKWARD) * config.recipe.batch_size * flops,
    )
    train_and_measure(task, config, place, images, {}, summary)


def forward_flops(model: nn.Module, images: ImageTensors) -> int:
    """FLOPs of one image's forward pass, counted by torch."""
    one = images.pixels(slice(0, 1))
    model.eval()
    with torch.no_grad():
        return counted_flops(lambda: model(one))


def refuse_bfloat16(model: nn.Module, images: Tensor) -> None:
    """Refuse a model that has no sure gradient in bfloat16 on a CPU, at the size of these images [B, C, H, W].

    Where a convolution's input is smaller than its stride, or than half its kernel, oneDNN's gradient of the kernel is
    in bfloat16 what memory held, at places that meet padding alone (LOG.md, 2026-11-27).

    Raises:
        UserError: such a convolution.
    """

    def look(layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        assert isinstance(layer, nn.Conv2d)
        for size, kernel, stride in zip(inputs[0].shape[2:], layer.kernel_size, layer.stride, strict=True):
            if size < max(stride, kernel // 2):
                raise UserError(
                    f"learngene.teacher: {layer} sees {size} px, and in bfloat16 on a CPU its gradient is then not "
                    "sure; give the teacher's recipe precision: float32, larger images, or a GPU"
                )

    hooks = [layer.register_forward_pre_hook(look) for layer in model.modules() if isinstance(layer, nn.Conv2d)]
    model.eval()
    with torch.no_grad():
        model(images)
    for hook in hooks:
        hook.remove()


def _write_pretrained(
    model: nn.Module, config: TeacherConfig, place: Place, images: Images, summary: dict[str, Any]
) -> None:
    state = model.state_dict()
    loss, accuracy, _ = evaluate(model, state, images.minival)
    record = {"step": 0, "examples": 0, "flops": 0, "minival_loss": loss, "minival_accuracy": accuracy}
    history = History(metrics=[record], clock=[0.0])
    summary = {**measured(model, state, images, history), **summary}
    write_outcome(place, config, state, summary, history.metrics, history, {"data": images.digest})
    print(f"teacher {config.run}  {config.model.pretrained}: test {summary['test_accuracy']:.2f} %", flush=True)
