"""`regrow verify`: what is published against what made it, without training."""

from __future__ import annotations

import argparse
from pathlib import Path

from regrow.cli.parsing import Commands, add_claims, add_partial
from regrow.config import load_params


def add(commands: Commands) -> None:
    """Add `verify`."""
    verify = commands.add_parser("verify", help="tables against records, configs, weights and data, without training")
    verify.add_argument("params", type=Path)
    verify.add_argument("--results", type=Path, required=True, metavar="FOLDER", help="results/<tier>")
    verify.add_argument("--data", type=Path, default=Path("results/data"), metavar="FOLDER", help="the packed sets")
    add_partial(verify)
    add_claims(verify)
    verify.set_defaults(command=_verify)


def _verify(arguments: argparse.Namespace) -> None:
    from regrow.verify import verify

    params, results = load_params(arguments.params), arguments.results
    claims, arithmetic = arguments.claims, arguments.arithmetic
    verified = verify(params, results, arguments.data, claims, arithmetic, partial=arguments.partial)
    print(f"{arguments.results}: nothing disagrees with {arguments.params}\n{verified}")
