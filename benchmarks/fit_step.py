"""A fitting step against a plain training step of the same target at the same batch, DeiT-S -> DeiT-B at 224 px.

    python benchmarks/fit_step.py --batch 8
    python benchmarks/fit_step.py --device cuda --batch 256 --precision bfloat16

Both steps are one function made of the product's pieces (expand, unstack, timm's model, AdamW), not train/loop.py's:
only the tensors that are trained and the map from them to the weights differ. Images are noise.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from functools import partial

import torch
from timing import DEIT_B, DEIT_S, interleaved, machine, peak_bytes, ratios, spread
from torch import Tensor
from torch.func import functional_call
from torch.nn.functional import cross_entropy

from regrow.config import OperatorConfig
from regrow.expand import expand
from regrow.growth.operator import Operator, cast
from regrow.growth.registry import operator
from regrow.models.vit import Tensors, build, initial, unstack

Weights = Callable[[Tensors], Mapping[str, Tensor]]


def main() -> None:
    """Print seconds, ratio and memory of every kind of step."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--operator", default="mango")
    parser.add_argument("--ranks", type=int, nargs="+", default=[1, 4], help="of Mango; others have none")
    parser.add_argument("--precision", choices=["float32", "bfloat16"], default="float32")
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    device = arguments.device
    start = {name: tensor.to(device) for name, tensor in initial(DEIT_B, 0).items()}
    basis = {name: tensor.to(device) for name, tensor in initial(DEIT_S, 0).items()}
    steps = {"plain": step(arguments, start, dict)}
    for rank in arguments.ranks if arguments.operator == "mango" else [None]:
        chosen = operator(OperatorConfig(name=arguments.operator, options={"ranks": [rank] * 4} if rank else {}))
        cores = cast(chosen.cores(DEIT_S, DEIT_B, torch.Generator().manual_seed(0)), basis)
        label = f"{arguments.operator} rank {rank}" if rank else arguments.operator
        steps[label] = step(arguments, cores, partial(grown, basis, chosen))
    found = interleaved(steps, arguments.repeats, device)
    state = 2 * sum(tensor.nbytes for tensor in start.values())
    print(f"{machine(device)}; batch {arguments.batch}, {arguments.precision}")
    plain = peak_bytes(steps["plain"], device)
    for label, run in steps.items():
        extra = (peak_bytes(run, device) - plain) / state
        ratio = spread(ratios(found[label], found["plain"]))
        print(
            f"{label}: {spread(found[label])} s; step / plain {ratio}; extra peak {extra:+.2f} x (weights + gradients)"
        )


def grown(basis: Tensors, chosen: Operator, trained: Tensors) -> Tensors:
    """The target's weights from the cores."""
    return expand(basis, chosen.maps(trained))


def step(arguments: argparse.Namespace, start: Tensors, weights: Weights) -> Callable[[], None]:
    """One optimiser step as a call, on a target and an optimiser of its own."""
    device = arguments.device
    model = build(DEIT_B).to(device)
    trained = {name: tensor.clone().requires_grad_() for name, tensor in start.items()}
    optimizer = torch.optim.AdamW(trained.values(), lr=1e-4, weight_decay=0.0)
    images = torch.randn(arguments.batch, 3, DEIT_B.img_size, DEIT_B.img_size, device=device)
    labels = torch.arange(arguments.batch, device=device) % DEIT_B.num_classes

    def run() -> None:
        with torch.autocast(device, dtype=torch.bfloat16, enabled=arguments.precision == "bfloat16"):
            logits = functional_call(model, unstack(weights(trained)), (images,))
            loss = cross_entropy(logits.float(), labels)
        loss.item()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    return run


if __name__ == "__main__":
    main()
