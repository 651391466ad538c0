"""Every text that the records decide: what is written, and what `regrow verify` makes again and compares."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import zip_longest
from pathlib import Path

from regrow.errors import UserError
from regrow.report.claims import claims_markdown, claims_table
from regrow.report.claims.ledger import Ledger
from regrow.report.conventions import seconds_conventions_table
from regrow.report.frames import Records
from regrow.report.metrics import metrics_json
from regrow.report.plan import plan_tables
from regrow.report.prose import report_text
from regrow.report.seconds import seconds_markdown, seconds_table
from regrow.report.table import csv_text
from regrow.report.tables import record_tables
from regrow.report.tidy import tidy_texts


def published_texts(records: Records, results: Path, ledger: Ledger) -> dict[str, str]:
    """Path below `results`, where the records are, -> text: of tables, claims, metrics.json and REPORT.md.

    The same results give the same bytes in all but `tables/seconds*`, which are of the machines in the records.
    """
    tables, settled, seconds = record_tables(records), claims_table(records, ledger), seconds_table(records)
    made = tidy_texts(records)
    planned, planned_seconds = plan_tables(records, results)
    for table in [*tables, planned]:
        made |= table.texts()
    made |= seconds.texts(("csv",)) | {"seconds.md": seconds_markdown(seconds)}
    made |= seconds_conventions_table(records).texts(("csv", "md")) | planned_seconds.texts(("csv", "md"))
    return {f"tables/{name}": text for name, text in made.items()} | {
        "claims.csv": csv_text(settled.data),
        "claims.md": claims_markdown(settled),
        "claims.html": settled.html(),
        "metrics.json": metrics_json(tables),
        "REPORT.md": report_text(records, {table.name: table for table in [*tables, planned, settled]}),
    }


def same_texts(texts: Mapping[str, str], results: Path) -> None:
    """Compare what lies in `results` with what the records give, byte for byte.

    Raises:
        UserError: the first file that is missing or has other bytes, and its first line that differs.
    """
    for name, text in texts.items():
        path = results / name
        if not path.is_file():
            raise UserError(f"{path}: no such file; `regrow report` makes it from the records")
        if (got := path.read_bytes()) != text.encode():
            line = _line(got.decode(errors="replace"), text)
            raise UserError(f"{path}: {line}; `regrow report` makes it again from the records")


def _line(got: str, expected: str) -> str:
    """The first line in which a text is not what it should be."""
    lines, wanted = got.splitlines(keepends=True), expected.splitlines(keepends=True)
    number, (ours, theirs) = next(
        (number, pair) for number, pair in enumerate(zip_longest(lines, wanted), start=1) if pair[0] != pair[1]
    )
    if ours is None or theirs is None:
        return f"has {len(lines)} lines, but the records give {len(wanted)}"
    return f"line {number} is {ours!r}, but the records give {theirs!r}"
