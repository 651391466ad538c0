"""One table in its forms: what a LaTeX compiler, a browser and a reader of Markdown are given."""

from __future__ import annotations

import html
import re

import pandas as pd
import pytest

from regrow.report.table import LATEX, WIDE, Table

HARD = "50 % of A_1 & B|C <b> #2 ~ ^ $ {x} \\ “so” − × ± ∞ → –"
"""Every character that LaTeX has another name for, one that Markdown takes for a border and a tag of HTML."""


@pytest.fixture
def table() -> Table:
    data = pd.DataFrame({"arm": ["a", "b"], "saved_mean": [1 / 3, -float("inf")]})
    shown = pd.DataFrame({"Arm": [HARD, "plain"], "FLOPs\nsaved & more": ["−12.5 ± 0.1", "miss (0 of 2)"]})
    return Table(name="hard", caption=f"Caption. {HARD}", data=data, shown=shown)


def test_latex_is_a_whole_booktabs_table(table: Table) -> None:
    """pdflatex sets the tables of a tier without an error; here, what it would stumble over."""
    assert set(HARD) >= set(LATEX) - {"”"}
    text = table.latex()
    assert text.isascii()
    opened: list[str] = []
    for kind, name in re.findall(r"\\(begin|end)\{([a-z]+\*?)\}", text):
        opened.append(name) if kind == "begin" else opened.remove(name)
    assert not opened
    bare = re.sub(r"\\[\\{}&%$#_]", "", text)
    assert bare.count("{") == bare.count("}")
    assert "%" not in bare.removeprefix("% needs")
    head, body = text.split("\\midrule\n")
    assert head.index("\\toprule") < head.index("Arm & ")
    columns = re.search(r"\\begin\{tabular\}\{@\{\}([lr]+)@\{\}\}", head)
    assert columns
    assert columns[1] == "lr"
    rows = body.split("\n\\bottomrule")[0].splitlines()
    assert [len(re.split(r"(?<!\\)&", row)) for row in rows] == [2, 2]
    assert all(row.endswith(r" \\") for row in rows)
    assert rows[1] == r"plain & miss (0 of 2) \\"
    assert r"50 \% of A\_1 \& B|C \textless{}b\textgreater{} \#2" in rows[0]
    assert r"\begin{tabular}[b]{@{}r@{}}FLOPs \\ saved \& more\end{tabular}" in head


def test_a_wide_table_is_set_smaller(table: Table) -> None:
    wide = pd.DataFrame({str(number): ["1"] for number in range(WIDE)})
    assert "\\scriptsize" in Table(name="w", caption="", data=wide, shown=wide).latex()
    assert "\\footnotesize" in table.latex()


def test_markdown_and_html_show_the_same_cells(table: Table) -> None:
    lines = table.markdown().splitlines()
    assert lines[0] == f"**Caption. {HARD}**"
    rows = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines[4:]]
    cells = [[cell.replace(r"\|", "|") for cell in row] for row in rows]
    page = table.html()
    found = [re.split("</td><td[^>]*>", row) for row in re.findall("<tr><td>(.*?)</td></tr>", page)]
    assert cells == [[html.unescape(cell).strip() for cell in row] for row in found] == table.shown.to_numpy().tolist()
    assert "<b>" not in page
    assert html.escape(HARD) in page.split("<table>")[0]
    heads = [html.unescape(head).strip() for head in re.findall("<th[^>]*>(.*?)</th>", page)]
    assert heads == ["Arm", "FLOPs saved & more"]


def test_without_rows(table: Table) -> None:
    empty = Table(name="none", caption="C", data=table.data, shown=table.shown.iloc[:0])
    assert empty.markdown() == "**C**\n\n*No rows.*\n"
    assert "<p>No rows.</p>" in empty.html()


def test_csv_has_ten_digits_and_names_a_miss(table: Table) -> None:
    assert table.texts(("csv",)) == {"hard.csv": "arm,saved_mean\na,0.3333333333\nb,-inf\n"}
