"""`regrow config`: the list of runs, and the resolved config of one."""

from __future__ import annotations

import argparse
from pathlib import Path

from regrow.cli.parsing import Commands
from regrow.config import canonical, load_params
from regrow.errors import UserError


def add(commands: Commands) -> None:
    """Add `config`."""
    config = commands.add_parser("config", help="print the resolved config of a run, or list the runs of a tier")
    config.add_argument("params", type=Path)
    config.add_argument("run", nargs="?", metavar="STAGE/RUN", help="without it: the list of runs")
    config.set_defaults(command=_config)


def _config(arguments: argparse.Namespace) -> None:
    from regrow.study import runs

    found = runs(load_params(arguments.params))
    if arguments.run is None:
        print("\n".join(found))
    elif arguments.run in found:
        print(canonical(found[arguments.run].config))
    else:
        raise UserError(f"{arguments.run}: no such run in {arguments.params}; without a run, the command lists them")
