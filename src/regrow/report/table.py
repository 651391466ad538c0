"""One table in four forms: CSV with every digit; Markdown, LaTeX (booktabs) and HTML for people."""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import escape as escape_html
from pathlib import Path

import pandas as pd
from tabulate import tabulate

from regrow.config import Params
from regrow.records import write_bytes

LATEX = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "±": r"$\pm$",
    "−": "$-$",
    "∞": r"$\infty$",
    "→": r"$\rightarrow$",
    "×": r"$\times$",
    "–": "--",
    "“": "``",
    "”": "''",
}
PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>{name}</title>
<style>
body {{ font: 14px/1.4 sans-serif; margin: 1.5em; }}
table {{ border-collapse: collapse; border-block: 2px solid; }}
thead {{ border-bottom: 1px solid; }}
th, td {{ padding: 0.2em 0.7em; vertical-align: top; }}
td[style] {{ white-space: nowrap; }}
</style>
</head>
<body>
<p>{caption}</p>
{table}
</body>
</html>
"""
WIDE = 10
"""From this many columns on, LaTeX sets a table in a smaller size."""
FORMS = ("csv", "md", "tex", "html")
NUMERIC = re.compile(r"[−∞0-9]|undefined|miss|–")


@dataclass(frozen=True, kw_only=True)
class Table:
    """`data` is written as CSV; `shown`, all text, in the other forms under the caption.

    A line break in a column's name is one in the LaTeX heading and a space elsewhere.
    """

    name: str
    caption: str
    data: pd.DataFrame
    shown: pd.DataFrame

    def markdown(self) -> str:
        """The caption, then a pipe table."""
        return f"**{self.caption}**\n\n{self.body()}\n"

    def body(self) -> str:
        """The pipe table alone."""
        cells = [[str(cell).replace("|", r"\|") for cell in row] for row in self.shown.to_numpy()]
        return self._tabulated(cells, "pipe") if cells else "*No rows.*"

    def html(self) -> str:
        """A page of its own: Snakemake's report shows one, and can only offer a CSV file for download."""
        cells = [[str(cell) for cell in row] for row in self.shown.to_numpy()]
        table = self._tabulated(cells, "html") if cells else "<p>No rows.</p>"
        return PAGE.format(name=escape_html(self.name), caption=escape_html(self.caption), table=table)

    def _tabulated(self, cells: list[list[str]], form: str) -> str:
        align = ["right" if right else "left" for right in self._right()]
        heads = [str(column).replace("\n", " ") for column in self.shown.columns]
        text: str = tabulate(cells, heads, tablefmt=form, disable_numparse=True, colalign=align)
        return text

    def latex(self) -> str:
        """A `table*` that needs booktabs and nothing else."""
        rows = [" & ".join(escape(str(cell)) for cell in row) + r" \\" for row in self.shown.to_numpy()]
        return "\n".join(
            [
                r"% needs \usepackage{booktabs}",
                r"\begin{table*}[t]",
                r"\centering",
                rf"\caption{{{escape(self.caption)}}}",
                rf"\label{{tab:regrow-{self.name}}}",
                r"\footnotesize" if len(self.shown.columns) < WIDE else r"\scriptsize",
                r"\setlength{\tabcolsep}{4pt}",
                rf"\begin{{tabular}}{{@{{}}{''.join('r' if right else 'l' for right in self._right())}@{{}}}}",
                r"\toprule",
                " & ".join(_heading(str(column)) for column in self.shown.columns) + r" \\",
                r"\midrule",
                *rows,
                r"\bottomrule",
                r"\end{tabular}",
                r"\end{table*}",
                "",
            ]
        )

    def _right(self) -> list[bool]:
        """A column is right-aligned where every cell begins like a number."""
        return [all(NUMERIC.match(str(cell)) for cell in self.shown[column]) for column in self.shown.columns]

    def texts(self, forms: tuple[str, ...] = FORMS) -> dict[str, str]:
        """`<name>.<form>` -> the table in that form."""
        made = {"csv": lambda: csv_text(self.data), "md": self.markdown, "tex": self.latex, "html": self.html}
        return {f"{self.name}.{form}": made[form]() for form in forms}

    def write(self, folder: Path, forms: tuple[str, ...] = FORMS) -> list[Path]:
        """Write `<folder>/<name>.<form>` for every form."""
        texts = {folder / name: text for name, text in self.texts(forms).items()}
        for path, text in texts.items():
            write_bytes(path, text.encode())
        return list(texts)


def csv_text(data: pd.DataFrame) -> str:
    """CSV with ten significant digits; what is not defined is empty, what is infinite is `inf` or `-inf`."""
    text: str = data.to_csv(index=False, float_format="%.10g", lineterminator="\n")
    return text


def escape(text: str) -> str:
    """Text for LaTeX, one pass, so that nothing is escaped twice."""
    return "".join(LATEX.get(character, character) for character in text)


def _heading(text: str) -> str:
    """A column's heading, its lines stacked where there are more than one."""
    lines = [escape(line) for line in text.split("\n")]
    if len(lines) == 1:
        return lines[0]
    stacked = r" \\ ".join(lines)
    return rf"\begin{{tabular}}[b]{{@{{}}r@{{}}}}{stacked}\end{{tabular}}"


def over_seeds_text(params: Params) -> str:
    """What a cell is, for a caption."""
    n = len(params.seeds)
    return f"mean ± sd over {n} seeds" if n > 1 else "one seed"


def imagenet(params: Params) -> bool:
    """Whether the tier pretrains and grows on ImageNet, as the papers do."""
    return params.source_data.name.startswith("imagenet")


def setting(params: Params) -> str:
    """How every caption ends: which tier it is, and that it is not the papers' setting."""
    papers = "" if imagenet(params) else "; not the papers' ImageNet setting"
    return f"Tier {params.tier} ({params.source_data.name}, {params.img_size} px{papers})."
