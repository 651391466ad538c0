"""Pictures of the operators: every map of `regrow.expand` as a matrix plot, on a pair of ViTs that fits on a page.

One figure an operator, one panel a matrix [new, old] of its equation: row j tells what the
new channel, head, neuron or layer j is made of. Blue adds, red with a minus subtracts, white is zero. An axis without
a panel is mapped by the identity; axes whose matrices are equal share a panel.
"""

from __future__ import annotations

import io
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection, PatchCollection
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from regrow.growth.panels import Panel
from regrow.growth.parts import parts
from regrow.records import write_bytes
from regrow.report.style import GREY, UNDATED, blank, styled

COLUMNS = 5
WIDTH, HEIGHT, SIDE = 1.35, 1.7, 1.05
"""Panels in a row at most; in inches, the place of one with its words, and the longer side of its matrix."""
TITLE, HEADING, FOOT, MARGIN = 0.2, 0.2, 0.45, 0.25
"""In inches. Places are fixed: a layout engine's last bits, and so the file's bytes, differ between runs."""

GRID: dict[str, Any] = {"colors": "#E4E4E4", "linewidths": 0.4}

COLORMAP = "RdBu"
"""ColorBrewer's, safe for the colour-blind; both ends are dark in grey, where the minus signs tell them apart."""


def draw(operator: str, folder: Path) -> Path:
    """Write `<folder>/<operator>.svg`, the same bytes every time."""
    path = folder / f"{operator}.svg"
    buffer = io.BytesIO()
    with styled():
        picture(operator).savefig(buffer, format="svg", metadata=UNDATED["svg"])
    write_bytes(path, buffer.getvalue())
    return path


def picture(operator: str) -> Figure:
    """The figure of an operator: its parts from the top, below them what the colours mean."""
    title, found = parts(operator)
    columns = min(COLUMNS, max(3, *(len(part.panels) for part in found)))
    heights = [HEADING * bool(part.heading) + HEIGHT * -(-len(part.panels) // columns) for part in found]
    figure = blank(WIDTH * columns, TITLE + sum(heights) + FOOT)
    figure.set_layout_engine("none")
    _words(figure, 0.05, title, fontsize=8)
    largest = max(1.0, *(float(panel.matrix.abs().max()) for part in found for panel in part.panels))
    scale = Normalize(-largest, largest)
    top = TITLE
    for part, height in zip(found, heights, strict=True):
        _words(figure, top, part.heading, color=GREY)
        for number, panel in enumerate(part.panels):
            row, column = divmod(number, columns)
            below = top + HEADING * bool(part.heading) + HEIGHT * (row + 1) - MARGIN
            _panel(_place(figure, column * WIDTH + MARGIN, below - SIDE, SIDE, SIDE), panel, part.sides, scale)
        top += height
    _words(figure, top + 0.05, "white: 0\nminus: below 0", color=GREY)
    bar = _place(figure, WIDTH * columns / 2, top + 0.05, WIDTH * columns / 2 - MARGIN, 0.15)
    figure.colorbar(ScalarMappable(scale, COLORMAP), cax=bar, orientation="horizontal", ticks=(-1, -0.5, 0, 0.5, 1))
    return figure


def _place(figure: Figure, left: float, top: float, width: float, height: float) -> Axes:
    """Axes at a place in inches from the figure's left and top."""
    whole, high = figure.get_size_inches()
    return figure.add_axes((left / whole, 1 - (top + height) / high, width / whole, height / high), anchor="SW")


def _words(figure: Figure, top: float, words: str, **style: Any) -> None:
    """A line at the left, `top` inches below the upper edge."""
    whole, high = figure.get_size_inches()
    figure.text(0.05 / whole, 1 - top / high, words, va="top", **style)


def _panel(axes: Axes, panel: Panel, sides: tuple[str, str], scale: Normalize) -> None:
    """A matrix with its first row on top: its non-zero cells, a minus in every negative one, and a light grid."""
    matrix = panel.matrix.numpy()
    new, old = matrix.shape
    cells = [Rectangle((x, y), 1, 1) for y, x in np.argwhere(matrix).tolist()]
    axes.add_collection(PatchCollection(cells, array=matrix[matrix != 0], cmap=COLORMAP, norm=scale, linewidths=0))
    across = [((0, y), (old, y)) for y in range(1, new)]
    axes.add_collection(LineCollection([*across, *(((x, 0), (x, new)) for x in range(1, old))], **GRID))
    down, along = np.nonzero(matrix < 0)
    axes.scatter(along + 0.5, down + 0.5, s=90 / max(new, old), color="white", marker="_", linewidths=0.8, zorder=3)
    axes.set(xlim=(0, old), ylim=(new, 0), aspect="equal", xticks=[], yticks=[])
    axes.spines[:].set(visible=True, color=GREY)
    axes.set_xlabel(f"{old} {sides[1]}", labelpad=2)
    axes.set_ylabel(f"{new} {sides[0]}", labelpad=2)
    axes.set_title("\n".join(textwrap.fill(line, 20) for line in panel.title.splitlines()), fontsize=6.5)
