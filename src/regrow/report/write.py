"""Everything the report writes, and the order it is written in: tables, figures, REPORT.md."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from matplotlib.figure import Figure

from regrow.config import Params
from regrow.records import write_bytes
from regrow.report import figures
from regrow.report.claims import ARITHMETIC, CLAIMS, load_ledger
from regrow.report.conventions import CONVENTIONS, conventions_figure
from regrow.report.frames import Records, read
from regrow.report.learngene import learngene_figures
from regrow.report.missing import missing_words
from regrow.report.published import published_texts
from regrow.report.style import save, styled


def write_report(
    params: Params, results: Path, claims: Path = CLAIMS, arithmetic: Path = ARITHMETIC, *, partial: bool = False
) -> None:
    """Read the records in `results` once; write its tables/, figures/, claims.* and REPORT.md, and say where they are.

    Everything but tables/seconds* has the same bytes for the same results; on an ImageNet tier, not the claims on wall
    time. With `partial`, the report is of the part of the tier that is done, and says what is missing.

    Raises:
        UserError: a run of the tier has no records, or the ledger of claims is not right; with `partial`, too few have.
    """
    ledger, records = load_ledger(claims, arithmetic), read(params, results, partial=partial)
    written = []
    for name, text in published_texts(records, results, ledger).items():
        written.append(results / name)
        write_bytes(written[-1], text.encode())
    with styled():
        for name, draw in drawn(records.params).items():
            written += save(draw(records), results / "figures", name)
    for line in listing(results, written):
        print(line)
    if records.whole:
        print(missing_words(records, records.whole))


def drawn(params: Params) -> dict[str, Callable[[Records], Figure]]:
    """Every figure of a tier, by name."""
    found = {figures.ACCURACY: figures.accuracy_vs_flops, figures.SAVED: figures.compute_saved}
    found[CONVENTIONS] = conventions_figure
    if params.transfer_data:
        found[figures.TRANSFER] = figures.transfer_accuracy
    return found | (learngene_figures(params.learngene) if params.learngene else {})


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
