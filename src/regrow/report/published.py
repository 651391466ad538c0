"""The tables that are published against those that the records give."""

from __future__ import annotations

from pathlib import Path

from regrow.errors import UserError
from regrow.report.frames import Records
from regrow.report.table import csv_text
from regrow.report.tables import record_tables
from regrow.report.tidy import tidy_runs


def table_texts(records: Records) -> dict[str, str]:
    """File name -> text, of every table but those of seconds, which belong to the machine."""
    texts = {"runs.csv": csv_text(tidy_runs(records))}
    for table in record_tables(records):
        forms = {"csv": csv_text(table.data), "md": table.markdown(), "tex": table.latex()}
        texts |= {f"{table.name}.{form}": text for form, text in forms.items()}
    return texts


def same_tables(records: Records, folder: Path) -> list[str]:
    """Make every table again and compare the bytes; returns the files' names.

    Raises:
        UserError: the first file that is missing or has other bytes, and its first line that differs.
    """
    texts = table_texts(records)
    for name, text in texts.items():
        path = folder / name
        if not path.is_file():
            raise UserError(f"{path}: no such file; `regrow report` makes it from the records")
        if (got := path.read_bytes()) != text.encode():
            raise UserError(f"{path}: {_line(got.decode(), text)}; `regrow report` makes it again from the records")
    return list(texts)


def _line(got: str, expected: str) -> str:
    """The first line in which a table is not what it should be."""
    lines, wanted = got.splitlines(), expected.splitlines()
    number = next((n for n, pair in enumerate(zip(lines, wanted, strict=False)) if pair[0] != pair[1]), None)
    if number is None:
        return f"has {len(lines)} lines, but the records give {len(wanted)}"
    return f"line {number + 1} is {lines[number]!r}, but the records give {wanted[number]!r}"
