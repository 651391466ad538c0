"""`regrow`: every stage of the DAG as a command, and a few for people. One module a group of commands.

torch is imported by the commands that need it, after the arguments are read: `regrow --help` answers at once.
"""

from __future__ import annotations

import argparse
import sys
from contextlib import nullcontext
from pathlib import Path

from regrow.cli import (
    config,
    count,
    data,
    expand,
    explain,
    grow,
    layers,
    pictures,
    piece,
    plan,
    rehearse,
    report,
    run,
    unlock,
    verify,
)
from regrow.errors import UserError
from regrow.lock import share

COMMANDS = (
    data,
    run,
    grow,
    expand,
    config,
    plan,
    rehearse,
    piece,
    report,
    verify,
    explain,
    layers,
    count,
    pictures,
    unlock,
)
"""In the order of `regrow --help`. Each module's `add` adds its commands to the parser."""


def main(argv: list[str] | None = None) -> int:
    """Run one command. Exit codes: 0 done, 2 the user's mistake, 128 + n stopped by signal n."""
    arguments = _parser().parse_args(argv)
    try:
        with nullcontext() if "alone" in arguments else share(Path.cwd()):
            arguments.command(arguments)
    except UserError as error:
        print(f"regrow: error: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        return 141
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="regrow", description="Grow Vision Transformers and measure what it saves.")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for module in COMMANDS:
        module.add(commands)
    return parser
