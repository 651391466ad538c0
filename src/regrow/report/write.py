"""Everything the report writes, and the order it is written in: tables, figures, REPORT.md."""

from __future__ import annotations

from pathlib import Path

from regrow.config import Params
from regrow.records import write_bytes
from regrow.report import figures
from regrow.report.claims import ARITHMETIC, CLAIMS, claims_markdown, claims_table, load_ledger
from regrow.report.conventions import CONVENTIONS, conventions_figure, seconds_conventions_table
from regrow.report.frames import read
from regrow.report.learngene import learngene_figures
from regrow.report.prose import report_text
from regrow.report.seconds import seconds_markdown, seconds_table
from regrow.report.style import save, styled
from regrow.report.table import csv_text
from regrow.report.tables import record_tables
from regrow.report.tidy import tidy_runs


def write_report(params: Params, results: Path, claims: Path = CLAIMS, arithmetic: Path = ARITHMETIC) -> None:
    """Read the records in `results` once; write its tables/, figures/, claims.* and REPORT.md, and say where they are.

    Everything but tables/seconds* has the same bytes for the same results; on an ImageNet tier, not the claims on wall
    time.

    Raises:
        UserError: a run of the tier has no records, or the ledger of claims is not right.
    """
    ledger = load_ledger(claims, arithmetic)
    records = read(params, results)
    tables = record_tables(records)
    drawn = {figures.ACCURACY: figures.accuracy_vs_flops, figures.SAVED: figures.compute_saved}
    drawn[CONVENTIONS] = conventions_figure
    if params.transfer_data:
        drawn[figures.TRANSFER] = figures.transfer_accuracy
    if params.learngene:
        drawn |= learngene_figures(params.learngene)

    written: list[Path] = []
    for table in tables:
        written += table.write(results / "tables")
    settled, seconds = claims_table(records, ledger), seconds_table(records)
    written += settled.write(results, forms=("csv",))
    written += seconds.write(results / "tables", forms=("csv",))
    written += seconds_conventions_table(records).write(results / "tables", forms=("csv", "md"))
    texts = {
        "tables/runs.csv": csv_text(tidy_runs(records)),
        "tables/seconds.md": seconds_markdown(seconds),
        "claims.md": claims_markdown(settled),
        "REPORT.md": report_text(records, {table.name: table for table in [*tables, settled]}),
    }
    for name, text in texts.items():
        write_bytes(results / name, text.encode())
        written.append(results / name)
    with styled():
        for name, draw in drawn.items():
            written += save(draw(records), results / "figures", name)
    for line in listing(results, written):
        print(line)


def listing(results: Path, written: list[Path]) -> list[str]:
    """One line a name, with the forms it was written in."""
    forms: dict[str, list[str]] = {}
    for path in written:
        name, _, form = path.relative_to(results).as_posix().rpartition(".")
        forms.setdefault(name, []).append(form)
    lines = [
        f"  {name}.{found[0] if len(found) == 1 else '{' + ','.join(found) + '}'}" for name, found in forms.items()
    ]
    return [f"report: in {results}", *lines]
