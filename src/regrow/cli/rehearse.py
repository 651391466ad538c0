"""`regrow rehearse`: the params file of a tier's rehearsal."""

from __future__ import annotations

import argparse
from pathlib import Path

from regrow.cli.parsing import Commands
from regrow.config import load_params
from regrow.errors import UserError


def add(commands: Commands) -> None:
    """Add `rehearse`."""
    rehearse = commands.add_parser(
        "rehearse", help="print a params file that runs every run of a tier's first seed for a hundredth of its steps"
    )
    rehearse.add_argument("params", type=Path)
    rehearse.add_argument("--share", type=float, default=0.01, help="of the steps of every run")
    rehearse.add_argument("--batch", type=int, default=16, help="images a step, an even number")
    rehearse.add_argument("--thin", type=int, default=64, help="measure on one in so many images of minival and test")
    rehearse.set_defaults(command=_rehearse)


def _rehearse(arguments: argparse.Namespace) -> None:
    import yaml

    from regrow.study.rehearsal import rehearsal

    share, batch, thin = arguments.share, arguments.batch, arguments.thin
    if not 0 < share <= 1:
        raise UserError(f"--share: expected more than 0 and at most 1, got {share:g}")
    if batch < 2 or batch % 2:
        raise UserError(f"--batch: expected an even number, because Mixup mixes pairs, got {batch}")
    if thin < 1:
        raise UserError(f"--thin: expected 1 or more, got {thin}")
    params = rehearsal(load_params(arguments.params), share=share, batch=batch, thin=thin)
    tier = params.tier
    print(f"# snakemake --cores all --config params=params/{tier}.yaml     (made by `regrow rehearse`)")
    print(yaml.safe_dump(params.model_dump(mode="json", exclude_defaults=True), sort_keys=False, width=120), end="")
