"""`regrow report`, `readme` and `compare`: what is made from the records alone."""

from __future__ import annotations

import argparse
from pathlib import Path

from regrow.cli.parsing import Commands, add_claims, add_partial
from regrow.config import load_params


def add(commands: Commands) -> None:
    """Add `report`, `readme` and `compare`."""
    report = commands.add_parser("report", help="tables, figures and REPORT.md from the records alone")
    report.add_argument("params", type=Path)
    report.add_argument("--results", type=Path, required=True, metavar="FOLDER", help="results/<tier>")
    add_partial(report)
    add_claims(report)
    report.set_defaults(command=_report)

    readme = commands.add_parser("readme", help="put the first table and figure between the README's markers")
    readme.add_argument("params", type=Path)
    readme.add_argument("--results", type=Path, required=True, metavar="FOLDER")
    readme.add_argument("--readme", type=Path, default=Path("README.md"))
    readme.add_argument("--check", action="store_true", help="change nothing; fail if it would change")
    readme.set_defaults(command=_readme)

    compare = commands.add_parser("compare", help="the numbers just made beside the committed ones")
    compare.add_argument("--results", type=Path, required=True, metavar="FOLDER")
    compare.add_argument("--revision", default="HEAD", help="the git revision of the committed tables")
    compare.set_defaults(command=_compare)


def _report(arguments: argparse.Namespace) -> None:
    from regrow.report import write_report

    params, claims, arithmetic = load_params(arguments.params), arguments.claims, arguments.arithmetic
    write_report(params, arguments.results, claims, arithmetic, partial=arguments.partial)


def _readme(arguments: argparse.Namespace) -> None:
    from regrow.report import update_readme

    update_readme(load_params(arguments.params), arguments.results, arguments.readme, check=arguments.check)


def _compare(arguments: argparse.Namespace) -> None:
    from regrow.report import compare

    compare(arguments.results, arguments.revision)
