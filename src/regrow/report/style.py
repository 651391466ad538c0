"""How figures look and how they are written: one style file, one look an arm, the same bytes every time."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib.style
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from regrow.records import write_bytes
from regrow.report.families import Family
from regrow.study import NO_PRETRAINING

COLUMN, TEXT = 3.25, 6.75
"""Widths in inches: one column of a two-column paper, and the whole text."""

COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
"""Okabe and Ito's, without black (scratch) and without yellow, which is too light on white."""
MARKERS = ("o", "s", "^", "D", "v", "P", "<", "X", ">", "p", "h")
LINES = ("-", (0, (5, 1.2)), (0, (3, 1, 1, 1)), (0, (1.5, 1)), (0, (7, 1, 2, 1)), (0, (3, 1, 1, 1, 1, 1)), (0, (4, 3)))
"""The first is scratch's; with the markers, what tells arms apart where print is grey."""
GREY = "#777777"

UNDATED: dict[str, dict[str, Any]] = {
    "svg": {"Date": None, "Creator": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
    "png": {"Software": None},
}


@contextmanager
def styled() -> Iterator[None]:
    """The style of the figures and nothing of the user's own."""
    with matplotlib.style.context(Path(__file__).with_name("regrow.mplstyle"), after_reset=True):
        yield


def look(family: Family, arm: str) -> dict[str, Any]:
    """Colour, marker and line of an arm, the same in every figure; no two of a family share both colour and marker."""
    if arm == NO_PRETRAINING:
        return {"color": GREY, "marker": "x", "linestyle": ":"}
    if arm == family.scratch:
        return {"color": "black", "marker": "*", "linestyle": "-"}
    place = [name for name in family.arms if name != family.scratch].index(arm)
    return {
        "color": COLORS[place % len(COLORS)],
        "marker": MARKERS[place % len(MARKERS)],
        "linestyle": LINES[1 + place % (len(LINES) - 1)],
    }


def legend_line(label: str, style: dict[str, Any]) -> Line2D:
    """An arm in a legend, its marker as large beside its line as in the figure."""
    size = 8 if style["marker"] == "*" else 5
    return Line2D([], [], label=label, markersize=size, markeredgecolor="white", markeredgewidth=0.5, **style)


def blank(width: float, height: float) -> Figure:
    """A figure of that size in inches. No pyplot: no global state, no window."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def rows_axis(axes: Axes, labels: list[str]) -> None:
    """One row a label, the first on top, and no grid line along the rows."""
    axes.set_yticks(range(len(labels)), labels)
    axes.set_ylim(len(labels) - 0.5, -0.5)
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", length=0)


def save(figure: Figure, folder: Path, name: str) -> list[Path]:
    """Write `<folder>/<name>.{svg,png,pdf}` without dates and versions."""
    paths = []
    for form, metadata in UNDATED.items():
        buffer = io.BytesIO()
        figure.savefig(buffer, format=form, metadata=metadata)
        paths.append(folder / f"{name}.{form}")
        write_bytes(paths[-1], buffer.getvalue())
    return paths
