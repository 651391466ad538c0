"""The README's tables and figures, kept equal to the results by a command and checked by another."""

from __future__ import annotations

import os
import re
from pathlib import Path

from regrow.config import Params
from regrow.errors import UserError
from regrow.records import write_bytes
from regrow.report.figures import ACCURACY, alt_text
from regrow.report.frames import read
from regrow.report.growth import growth_table
from regrow.report.learngene.descendants import descendants_table
from regrow.report.learngene.figures import BY_DEPTH, by_depth_text


def update_readme(params: Params, results: Path, readme: Path, *, check: bool) -> None:
    """Replace what is between `<!-- regrow:NAME -->` and `<!-- /regrow:NAME -->`: the growth table and figure, and for
    a tier with a learngene descendants-table and depth-figure.

    Raises:
        UserError: no such file or markers; or, with `check`, the README would change.
    """
    records = read(params, results)
    if not readme.exists():
        raise UserError(f"{readme}: no such file; name the README with --readme")
    old = readme.read_text()
    new = fill(old, "growth-table", growth_table(records).markdown(), readme)
    new = fill(new, "figure", _image(ACCURACY, alt_text(records), results, readme), readme)
    if params.learngene:
        new = fill(new, "descendants-table", descendants_table(records, params.learngene).markdown(), readme)
        new = fill(new, "depth-figure", _image(BY_DEPTH, by_depth_text(params.learngene), results, readme), readme)
    if new == old:
        return
    if check:
        raise UserError(f"{readme}: its table or figure is not the one of {results}; run `regrow readme` and commit it")
    write_bytes(readme, new.encode())
    print(f"readme: {readme} has the tables of {results}")


def _image(name: str, text: str, results: Path, readme: Path) -> str:
    figure = results.resolve() / "figures" / f"{name}.svg"
    return f"![{text}]({Path(os.path.relpath(figure, readme.resolve().parent)).as_posix()})\n"


def fill(text: str, name: str, content: str, readme: Path) -> str:
    """The text with `content` between the markers of that name; each marker must be there once."""
    begin, end = f"<!-- regrow:{name} -->", f"<!-- /regrow:{name} -->"
    found = re.findall(re.escape(begin) + r".*?" + re.escape(end), text, re.DOTALL)
    if len(found) != 1 or text.count(begin) != 1 or text.count(end) != 1:
        raise UserError(f"{readme}: expected {begin} and then {end}, once each; put them where the {name} belongs")
    return text.replace(found[0], f"{begin}\n{content}{end}")
