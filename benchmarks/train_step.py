"""A training step of ours against timm's own: the same model, batch, precision, optimiser, smoothing and clip.

    python benchmarks/train_step.py                              # mini's target and descendant, on a CPU
    python benchmarks/train_step.py --recipe deit                # and with DeiT's augmentation
    python benchmarks/train_step.py --model deit-s --device cuda --batch 256 --precision bfloat16

Ours is train/loop.py as it is: it gathers uint8 images, normalises and augments them, schedules the rate, and stops at
a loss that is not finite; it is charged two evaluations of eight images too. timm's is the body of its train.py around
its own optimizer and loss, on a float batch that is there already, so loading costs it nothing; with `--recipe deit` it
is given the mixed targets too. On a CPU the clock is the process's own CPU time, on a GPU wall time.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import replace
from io import StringIO

import torch
from timing import DEIT_B, DEIT_S, machine, ratios, spread, wait
from timm.data.mixup import Mixup
from timm.loss.cross_entropy import LabelSmoothingCrossEntropy, SoftTargetCrossEntropy
from timm.optim import create_optimizer_v2
from timm.utils.clip_grad import dispatch_clip_grad

from regrow.config import ModelConfig, Recipe
from regrow.models.axes import decays
from regrow.models.vit import build, initial
from regrow.train.batches import ImageTensors
from regrow.train.device import torch_device
from regrow.train.loop import train
from regrow.train.task import Task

MODELS = {
    "mini": ModelConfig(embed_dim=64, depth=4, num_heads=4, patch_size=8, img_size=32, num_classes=1055),
    "mini-source": ModelConfig(embed_dim=32, depth=4, num_heads=2, patch_size=8, img_size=32, num_classes=1055),
    "deit-s": DEIT_S,
    "deit-b": DEIT_B,
}
RECIPES = {
    "mini": {"warmup": 0.1, "weight_decay": 0.05, "label_smoothing": 0.1, "grad_clip": 1.0},
    "deit": {"like": "deit"},
}


def main() -> None:
    """Print seconds of both steps and timm's over ours, turn by turn."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", choices=MODELS, nargs="+", default=["mini", "mini-source"])
    parser.add_argument("--recipe", choices=RECIPES, default="mini")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--precision", choices=["float32", "bfloat16"], default="float32")
    parser.add_argument("--steps", type=int, default=40, help="of a turn")
    parser.add_argument("--repeats", type=int, default=9)
    arguments = parser.parse_args()
    device = torch_device(arguments.device)
    print(f"{machine(arguments.device)}; batch {arguments.batch}, {arguments.precision}, recipe {arguments.recipe}")
    for name in arguments.model:
        given = {"duration": f"{arguments.steps} steps", "batch_size": arguments.batch, "lr": 1e-3, "evaluations": 1}
        recipe = Recipe.model_validate(
            {**RECIPES[arguments.recipe], "warmup": 0.1, **given, "precision": arguments.precision}
        )
        turns = {"ours": ours(MODELS[name], recipe, device), "timm": timms(MODELS[name], recipe, device)}
        for run in turns.values():
            run()
        found: dict[str, list[float]] = {label: [] for label in turns}
        for _ in range(arguments.repeats):
            for label, run in turns.items():
                found[label].append(1000 * elapsed(run, arguments.device) / arguments.steps)
        both = ", ".join(f"{label} {spread(values)} ms" for label, values in found.items())
        print(f"{name}: {both}; timm / ours {spread(ratios(found['timm'], found['ours']))}")


def elapsed(run: Callable[[], object], device: str) -> float:
    """CPU seconds on a CPU, where other work on the same cores would count in wall seconds; wall seconds on a GPU."""
    clock = time.process_time if device == "cpu" else time.perf_counter
    wait(device)
    start = clock()
    run()
    wait(device)
    return clock() - start


def ours(config: ModelConfig, recipe: Recipe, device: torch.device) -> Callable[[], object]:
    """A whole short run."""
    size, values = (4 * recipe.batch_size, 3, config.img_size, config.img_size), torch.full((3, 1, 1), 0.5)
    images = ImageTensors(
        images=torch.randint(256, size, dtype=torch.uint8).to(device),
        labels=torch.randint(config.num_classes, size[:1]).to(device),
        mean=values.to(device),
        std=values.to(device),
        num_classes=config.num_classes,
    )
    task = Task(
        label="ours",
        model=build(config, drop_path=recipe.drop_path).to(device),
        trained={name: tensor.to(device) for name, tensor in initial(config, 0).items()},
        weights=lambda trained: trained,
        decays=decays,
        train=images,
        minival=replace(images, images=images.images[:8], labels=images.labels[:8]),
        recipe=recipe,
        seed=0,
        flops_per_step=0,
    )

    def run() -> None:
        with redirect_stdout(StringIO()):
            train(task)

    return run


def timms(config: ModelConfig, recipe: Recipe, device: torch.device) -> Callable[[], object]:
    """As many steps of timm's train.py."""
    model = build(config, seed=0, drop_path=recipe.drop_path).to(device).train()
    optimizer = create_optimizer_v2(model, opt="adamw", lr=recipe.lr, weight_decay=recipe.weight_decay)
    images = torch.randn(recipe.batch_size, 3, config.img_size, config.img_size, device=device)
    labels = torch.randint(config.num_classes, (recipe.batch_size,), device=device)
    loss_fn, target = LabelSmoothingCrossEntropy(recipe.label_smoothing).to(device), labels
    if recipe.mixup or recipe.cutmix:
        mix = Mixup(recipe.mixup, recipe.cutmix, label_smoothing=recipe.label_smoothing, num_classes=config.num_classes)
        (images, target), loss_fn = mix(images, labels), SoftTargetCrossEntropy().to(device)
    steps = recipe.steps(4 * recipe.batch_size)

    def run() -> None:
        for _ in range(steps):
            with torch.autocast(device.type, dtype=torch.bfloat16, enabled=recipe.precision == "bfloat16"):
                loss = loss_fn(model(images), target)
            loss.backward()
            if recipe.grad_clip is not None:
                dispatch_clip_grad(model.parameters(), value=recipe.grad_clip, mode="norm")
            optimizer.step()
            optimizer.zero_grad()

    return run


if __name__ == "__main__":
    main()
