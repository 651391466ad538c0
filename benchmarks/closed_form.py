"""Seconds that a closed-form operator takes for DeiT-S -> DeiT-B, or its own kind of pair of that size.

python benchmarks/closed_form.py --operators bert2bert-fpi lemon
"""

from __future__ import annotations

import argparse
from functools import partial

import torch
from timing import DEIT_B, DEIT_S, interleaved, machine, spread

from regrow.config import OperatorConfig
from regrow.growth.operator import grow
from regrow.growth.registry import operator, target_config
from regrow.models.axes import shapes

SHALLOW = DEIT_B.model_copy(update={"depth": 6})
PAIRS = {
    "stackbert": (SHALLOW, DEIT_B),
    "interpolation": (SHALLOW, DEIT_B),
    "net2net": (DEIT_S, DEIT_B),
    "bert2bert-fpi": (DEIT_S, DEIT_B),
    "bert2bert-aki": (DEIT_S, DEIT_B),
    "lemon": (DEIT_S, DEIT_B),
    "weight-selection": (DEIT_B, DEIT_S),
    "mimetic": (DEIT_B, DEIT_B),
}


def main() -> None:
    """Print a line for each operator."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--operators", nargs="+", choices=PAIRS, default=list(PAIRS), metavar="NAME")
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    print(machine("cpu"))
    for name in arguments.operators:
        source, target = PAIRS[name][0], target_config(name, *PAIRS[name])
        chosen = operator(OperatorConfig(name=name, options={}))
        basis = {parameter: 0.02 * torch.randn(shape) for parameter, shape in shapes(source).items()}

        run = partial(grow, chosen, basis, source, target, 0)

        print(f"{name}: {spread(interleaved({name: run}, arguments.repeats, 'cpu')[name])} s", flush=True)


if __name__ == "__main__":
    main()
