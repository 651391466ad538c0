"""The map of an operator alone, DeiT-S -> DeiT-B: forward and backward against its arithmetic at the matmul rate.

    python benchmarks/map.py --operator mango --ranks 1 4

FLOPs are torch's count of the same pass. What the backward pass makes again to save memory is time, but no arithmetic:
the count is without it. The rate is that of a square float32 product, measured in turns with the map.
"""

from __future__ import annotations

import argparse
import statistics
from unittest.mock import patch

import torch
from timing import DEIT_B, DEIT_S, interleaved, machine, matmul, peak_bytes, ratios, spread
from torch.utils.flop_counter import FlopCounterMode

from regrow.config import OperatorConfig
from regrow.expand import expand
from regrow.growth.operator import cast
from regrow.growth.registry import operator
from regrow.models.axes import shapes
from regrow.models.vit import Tensors


def main() -> None:
    """Print one line for each rank."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--operator", default="mango")
    parser.add_argument("--ranks", type=int, nargs="+", default=[1, 4], help="of Mango; others have none")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--matmul", type=int, default=2048, help="size of the product that measures the rate")
    arguments = parser.parse_args()
    print(machine(arguments.device))
    for rank in arguments.ranks if arguments.operator == "mango" else [None]:
        report(arguments, rank)


def report(arguments: argparse.Namespace, rank: int | None) -> None:
    """Measure one operator."""
    device = arguments.device
    basis = {name: 0.02 * torch.randn(shape, device=device) for name, shape in shapes(DEIT_S).items()}
    chosen = operator(OperatorConfig(name=arguments.operator, options={"ranks": [rank] * 4} if rank else {}))
    cores = cast(chosen.cores(DEIT_S, DEIT_B, torch.Generator().manual_seed(0)), basis)
    trained = {name: core.requires_grad_() for name, core in cores.items()}
    gradients = {name: torch.randn(shape, device=device) for name, shape in shapes(DEIT_B).items()}

    def both(source: Tensors, learned: Tensors, given: Tensors) -> None:
        grown = expand(source, chosen.maps(learned))
        weights = {name: weight for name, weight in grown.items() if weight.requires_grad}
        torch.autograd.backward(list(weights.values()), [given[name] for name in weights])
        for core in learned.values():
            core.grad = None

    def run() -> None:
        both(basis, trained, gradients)

    with (
        FlopCounterMode(display=False) as counter,
        patch("regrow.expand.checkpoint", lambda make, part, **_: make(part)),
    ):
        both(*(on_meta(tensors) for tensors in (basis, trained, gradients)))
    square, square_flops = matmul(device, torch.float32, arguments.matmul)
    found = interleaved({"square": square, "map": run}, arguments.repeats, device)
    flops = counter.get_total_flops()
    at_rate = [flops / square_flops * value for value in found["square"]]
    weight_bytes = 4 * sum(gradient.numel() for gradient in gradients.values())
    label = f"{arguments.operator} rank {rank}" if rank else arguments.operator
    rate = square_flops / statistics.median(found["square"]) / 1e9
    print(
        f"{label}: {flops / 1e9:.0f} GFLOP forward and backward; matmul {rate:.0f} GFLOP/s; "
        f"map {spread(found['map'])} s; map / arithmetic {spread(ratios(found['map'], at_rate))}; "
        f"peak {peak_bytes(run, device) / (2 * weight_bytes):.2f} x (target's weights + gradients)",
        flush=True,
    )


def on_meta(tensors: Tensors) -> Tensors:
    """The same shapes without the numbers."""
    return {
        name: torch.empty_like(tensor, device="meta", requires_grad=tensor.requires_grad)
        for name, tensor in tensors.items()
    }


if __name__ == "__main__":
    main()
