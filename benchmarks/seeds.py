"""Throughput of k independent seeds trained at once on one device, a process each, against one after the other.

    python benchmarks/seeds.py --together 2                                         # mini's target, on two cores
    python benchmarks/seeds.py --together 1 2 3 4 --model deit-s-64 --device cuda --batch 512 --precision bfloat16

Each process is one of train/loop.py, as `snakemake --resources gpu=K` with `--device free-cuda:K` starts them, and has
one thread. The clock begins when all have done a first short run, and ends when the last is done.
"""

from __future__ import annotations

import argparse
import statistics
import time
from multiprocessing import get_context
from multiprocessing.synchronize import Barrier

import torch
from timing import machine, wait
from train_step import MODELS, RECIPES, ours

from regrow.config import ModelConfig, Recipe
from regrow.train.device import torch_device

MODELS_64 = {
    "deit-ti-64": ModelConfig(embed_dim=192, depth=12, num_heads=3, patch_size=8, img_size=64, num_classes=1055),
    "deit-s-64": ModelConfig(embed_dim=384, depth=12, num_heads=6, patch_size=8, img_size=64, num_classes=1055),
}


def main() -> None:
    """Print images a second for every k, and its ratio to one run at a time."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--together", type=int, nargs="+", default=[2], metavar="K")
    parser.add_argument("--model", choices={**MODELS, **MODELS_64}, default="mini")
    parser.add_argument("--recipe", choices=RECIPES, default="mini")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--precision", choices=["float32", "bfloat16"], default="float32")
    parser.add_argument("--steps", type=int, default=200, help="of each run")
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    print(f"{machine(arguments.device)}; {arguments.model}, batch {arguments.batch}, {arguments.precision}")
    alone = statistics.median(throughput(arguments, 1) for _ in range(arguments.repeats))
    print(f"one after the other: {alone:,.0f} images a second")
    for count in arguments.together:
        found = [throughput(arguments, count) for _ in range(arguments.repeats)]
        print(
            f"{count} at once: {statistics.median(found):,.0f} ({min(found):,.0f}-{max(found):,.0f}) images a second, "
            f"{statistics.median(found) / alone:.2f} x"
        )


def throughput(arguments: argparse.Namespace, count: int) -> float:
    """Images a second of `count` runs together."""
    context = get_context("spawn")
    ready = context.Barrier(count + 1)
    workers = [context.Process(target=train_one, args=(arguments, seed, ready)) for seed in range(count)]
    for worker in workers:
        worker.start()
    ready.wait()
    start = time.perf_counter()
    for worker in workers:
        worker.join()
    assert not any(worker.exitcode for worker in workers)
    return count * arguments.steps * arguments.batch / (time.perf_counter() - start)


def train_one(arguments: argparse.Namespace, seed: int, ready: Barrier) -> None:
    """In a process of its own: warm up, wait for the others, train."""
    torch.manual_seed(seed)
    device = torch_device(arguments.device)
    config = {**MODELS, **MODELS_64}[arguments.model]
    given = {"batch_size": arguments.batch, "lr": 1e-3, "evaluations": 1, "precision": arguments.precision}
    recipe = {**RECIPES[arguments.recipe], "warmup": 0.1, **given}
    for steps in (10, arguments.steps):
        run = ours(config, Recipe.model_validate({**recipe, "duration": f"{steps} steps"}), device, fast=False)
        if steps == 10:
            run()
    wait(arguments.device)
    ready.wait()
    run()
    wait(arguments.device)


if __name__ == "__main__":
    main()
