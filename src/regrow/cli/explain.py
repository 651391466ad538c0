"""`regrow explain`: the runs, seeds, configs, weights and command behind one cell of a table."""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from regrow.cli.parsing import Commands, add_partial
from regrow.config import load_params

if TYPE_CHECKING:
    from regrow.explain import Cell
    from regrow.report.frames import Records


def add(commands: Commands) -> None:
    """Add `explain`."""
    explain = commands.add_parser("explain", help="the runs, seeds, configs and command behind one cell of a table")
    explain.add_argument("table", help="growth, transfer, descendants, ...")
    explain.add_argument("row", help="what names it in the CSV, joined by '/': mango, mango/mnist, tleg/4")
    explain.add_argument("column", help="as in the CSV, where _mean may be left out: flops_saved")
    explain.add_argument("--params", type=Path, required=True, metavar="FILE")
    explain.add_argument("--results", type=Path, required=True, metavar="FOLDER", help="results/<tier>")
    add_partial(explain)
    explain.set_defaults(command=_explain)


def _explain(arguments: argparse.Namespace) -> None:
    from regrow.explain import explain
    from regrow.report.frames import read

    records = read(load_params(arguments.params), arguments.results, partial=arguments.partial)
    cell = explain(records, arguments.table, arguments.row, arguments.column)
    print("\n".join(_lines(cell, records, arguments.params, arguments.results)))


def _lines(cell: Cell, records: Records, params: Path, results: Path) -> Iterator[str]:
    from regrow.explain import in_short

    row = ", ".join(f"{name} {value}" for name, value in cell.row.items())
    yield f"{results / 'tables' / cell.table}.csv, {row}, {cell.column}: {_text(cell.value)}"
    yield from (f"  seed {seed} alone: {_text(value)}" for seed, value in cell.seeds.items())
    yield "\nruns behind it, parents first:"
    for run in cell.behind:
        made = records.runs.loc[run.key]
        accuracy = (
            f"test {made['test_accuracy']:.2f} %"
            if run.stage != "grow"
            else f"minival {made['minival_accuracy']:.2f} %"
        )
        start = f" from {run.config.init}" if run.config.init else ""
        yield f"  {run.key}{start}"
        yield f"    {in_short(run.config)}; data {run.config.data.folder}"
        yield f"    {accuracy}, {made['flops']:.3e} FLOPs; weights sha256 {made['weights_sha256']}"
    first = cell.keys[0]
    yield f"\na run's whole config:\n  regrow config {params} {first}"
    weights = " ".join(f"{results}/weights/{key}.safetensors" for key in cell.keys)
    yield "\nwhat makes the runs, and all that they start from, and then the table:"
    yield f"  snakemake {weights} --cores all --config params={params}"
    yield f"  regrow report {params} --results {results}{' --partial' if records.whole else ''}"


def _text(value: object) -> str:
    if not isinstance(value, float):
        return str(value)
    return "undefined" if math.isnan(value) else f"{value:.10g}"
