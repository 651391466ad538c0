"""One table in three forms: CSV with every digit, Markdown and LaTeX (booktabs) for people."""

from __future__ import annotations

import re
from dataclasses import dataclass
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
WIDE = 10
"""From this many columns on, LaTeX sets a table in a smaller size."""
FORMS = ("csv", "md", "tex")
NUMERIC = re.compile(r"[−∞0-9]|undefined|miss|–")


@dataclass(frozen=True, kw_only=True)
class Table:
    """`data` is written as CSV; `shown`, all text, as Markdown and LaTeX under the caption.

    A line break in a column's name is one in the LaTeX heading and a space in Markdown.
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
        if self.shown.empty:
            return "*No rows.*"
        cells = [[str(cell).replace("|", r"\|") for cell in row] for row in self.shown.to_numpy()]
        align = ["right" if right else "left" for right in self._right()]
        heads = [str(column).replace("\n", " ") for column in self.shown.columns]
        text: str = tabulate(cells, heads, tablefmt="pipe", disable_numparse=True, colalign=align)
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
        made = {"csv": lambda: csv_text(self.data), "md": self.markdown, "tex": self.latex}
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
