"""A training step of ours against timm's own: the same model, batch, precision, optimiser, smoothing and clip.

    python benchmarks/train_step.py                              # mini's target and descendant, on a CPU
    python benchmarks/train_step.py --recipe deit                # and with DeiT's augmentation
    python benchmarks/train_step.py --model deit-s deit-b --device cuda --batch 256 --precision bfloat16 [--fast]

Ours is train/loop.py as it is: it gathers uint8 images, normalises and augments them, schedules the rate, and stops at
a loss that is not finite; it is charged two evaluations of eight images too. It runs deterministic, or with `--fast` as
`regrow run --fast` does. timm's is the loop of its train.py, with nothing made deterministic, around its own optimizer,
loss and scheduler: its PrefetchLoader normalises a uint8 batch that lies on the device already, so loading costs it
nothing; with `--recipe deit` it is given an augmented float batch and the mixed targets too. On a CPU the clock is the
process's own CPU time, on a GPU wall time.

The share of the peak is the model's training FLOPs (3 forward passes) over ours, against a large square product of the
same precision on the same device.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import replace
from io import StringIO

import torch
from timing import DEIT_B, DEIT_S, machine, matmul, ratios, spread, wait
from timm.data.loader import PrefetchLoader
from timm.data.mixup import Mixup
from timm.loss.cross_entropy import LabelSmoothingCrossEntropy, SoftTargetCrossEntropy
from timm.optim import create_optimizer_v2
from timm.scheduler.cosine_lr import CosineLRScheduler
from timm.utils.clip_grad import dispatch_clip_grad
from timm.utils.metrics import AverageMeter

from regrow.config import ModelConfig, Recipe
from regrow.models.axes import decays
from regrow.models.flops import train_flops
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
PEAK_SIZE = {"cpu": 2048, "cuda": 8192}
"""Of the square products that the peak is taken from."""
PRODUCTS = 5


def main() -> None:
    """Print seconds of both steps and timm's over ours, turn by turn."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", choices=MODELS, nargs="+", default=["mini", "mini-source"])
    parser.add_argument("--recipe", choices=RECIPES, default="mini")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--precision", choices=["float32", "bfloat16"], default="float32")
    parser.add_argument("--fast", action="store_true", help="ours as `regrow run --fast`")
    parser.add_argument("--steps", type=int, default=40, help="of a turn")
    parser.add_argument("--repeats", type=int, default=9)
    arguments = parser.parse_args()
    device = torch_device(arguments.device, fast=arguments.fast)
    print(f"{machine(arguments.device)}; batch {arguments.batch}, {arguments.precision}, recipe {arguments.recipe}")
    for name in arguments.model:
        given = {"duration": f"{arguments.steps} steps", "batch_size": arguments.batch, "lr": 1e-3, "evaluations": 1}
        recipe = Recipe.model_validate(
            {**RECIPES[arguments.recipe], "warmup": 0.1, **given, "precision": arguments.precision}
        )
        flops = arguments.steps * arguments.batch * train_flops(MODELS[name])
        product, product_flops = products(arguments.device, getattr(torch, arguments.precision))
        turns = {
            "ours": ours(MODELS[name], recipe, device, fast=arguments.fast),
            "timm": timms(MODELS[name], recipe, device),
        }
        found: dict[str, list[float]] = {label: [] for label in (*turns, "share")}
        for turn in range(1 + arguments.repeats):
            torch_device(arguments.device, fast=arguments.fast)
            peak = product_flops / elapsed(product, arguments.device)
            mine = elapsed(turns["ours"], arguments.device)
            torch.use_deterministic_algorithms(False)
            torch.set_float32_matmul_precision("highest")
            theirs = elapsed(turns["timm"], arguments.device)
            if turn:  # the first one warms up
                found["ours"].append(1000 * mine / arguments.steps)
                found["timm"].append(1000 * theirs / arguments.steps)
                found["share"].append(100 * flops / mine / peak)
        both = ", ".join(f"{label} {spread(found[label])} ms" for label in turns)
        print(f"{name}: {both}; timm / ours {spread(ratios(found['timm'], found['ours']))}; ", end="")
        print(f"{spread(found['share'])} % of a product's {peak / 1e12:.3g} TFLOPS")


def products(device: str, dtype: torch.dtype) -> tuple[Callable[[], object], int]:
    """Large square products, one after the other, and their FLOPs."""
    one, flops = matmul(device, dtype, PEAK_SIZE[device])
    return lambda: [one() for _ in range(PRODUCTS)], PRODUCTS * flops


def elapsed(run: Callable[[], object], device: str) -> float:
    """CPU seconds on a CPU, where other work on the same cores would count in wall seconds; wall seconds on a GPU."""
    clock = time.process_time if device == "cpu" else time.perf_counter
    wait(device)
    start = clock()
    run()
    wait(device)
    return clock() - start


def ours(config: ModelConfig, recipe: Recipe, device: torch.device, *, fast: bool) -> Callable[[], object]:
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
        fast=fast,
    )

    def run() -> None:
        with redirect_stdout(StringIO()):
            train(task)

    return run


def timms(config: ModelConfig, recipe: Recipe, device: torch.device) -> Callable[[], object]:
    """As many steps of timm's train.py."""
    model = build(config, seed=0, drop_path=recipe.drop_path).to(device).train()
    optimizer = create_optimizer_v2(model, opt="adamw", lr=recipe.lr, weight_decay=recipe.weight_decay)
    size = (recipe.batch_size, 3, config.img_size, config.img_size)
    images = torch.randint(256, size, dtype=torch.uint8, device=device)
    labels = torch.randint(config.num_classes, size[:1], device=device)
    loss_fn, target = LabelSmoothingCrossEntropy(recipe.label_smoothing).to(device), labels
    if recipe.mixup or recipe.cutmix:
        mix = Mixup(recipe.mixup, recipe.cutmix, label_smoothing=recipe.label_smoothing, num_classes=config.num_classes)
        (images, target), loss_fn = mix(torch.randn(size, device=device), labels), SoftTargetCrossEntropy().to(device)
    steps = recipe.steps(4 * recipe.batch_size)
    schedule = CosineLRScheduler(optimizer, t_initial=steps, t_in_epochs=False)

    def run() -> None:
        losses = AverageMeter()
        batches = [(images, target)] * steps
        loader = PrefetchLoader(batches, device=device) if images.dtype == torch.uint8 else batches
        for update, (batch, classes) in enumerate(loader):
            with torch.autocast(device.type, dtype=torch.bfloat16, enabled=recipe.precision == "bfloat16"):
                loss = loss_fn(model(batch), classes)
            losses.update(loss.item(), len(batch))
            optimizer.zero_grad()
            loss.backward()
            if recipe.grad_clip is not None:
                dispatch_clip_grad(model.parameters(), value=recipe.grad_clip, mode="norm")
            optimizer.step()
            wait(device.type)
            schedule.step_update(update, metric=losses.avg)

    return run


if __name__ == "__main__":
    main()
