"""The figure: first scores against the layer's position, and how linear they and the whole weights are."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D

from regrow.layers.measure import Linearity, chance, chance_95
from regrow.report.style import COLORS, GREY, LINES, MARKERS, TEXT, blank, rows_axis

COLUMNS = 4
HEADING: dict[str, Any] = {"fontsize": 7.5, "fontweight": "bold"}
SEED = re.compile(r"_s(\d+)$")
Measured = Mapping[str, Mapping[str, Linearity]]
"""Checkpoint -> parameter -> its linearity."""


def layers_figure(measured: Measured) -> Figure:
    """Above a panel, below a row for each kind of weight. `x_s0` and `x_s1`, seeds of one arm, look alike."""
    kinds = list(dict.fromkeys(kind for parameters in measured.values() for kind in parameters))
    rows = math.ceil(len(kinds) / COLUMNS)
    looks = {arm: look_at(place) for place, arm in enumerate(arms(measured))}
    heights = (0.95 * rows + 0.25, 0.2 * len(kinds) + 1.0)
    figure = blank(TEXT, sum(heights))
    above, below = (part for part in figure.subfigures(2, 1, height_ratios=heights, squeeze=False).flat)
    _scores(above, measured, kinds, looks, rows)
    _shares(below, measured, kinds, looks)
    _legend(below, measured, looks)
    return figure


def arms(measured: Measured) -> dict[str, int]:
    """The names of the checkpoints without their seeds -> how many there are of each."""
    found = [SEED.sub("", name) for name in measured]
    return {arm: found.count(arm) for arm in dict.fromkeys(found)}


def look_at(place: int) -> dict[str, Any]:
    """Colour, marker and line of the n-th arm: the first is black, no two share both colour and marker."""
    if place == 0:
        return {"color": "black", "marker": "*", "linestyle": "-"}
    place -= 1
    return {
        "color": COLORS[place % len(COLORS)],
        "marker": MARKERS[place % len(MARKERS)],
        "linestyle": LINES[(place + 1) % len(LINES)],
    }


def _scores(
    part: SubFigure, measured: Measured, kinds: list[str], looks: Mapping[str, dict[str, Any]], rows: int
) -> None:
    panels = list(part.subplots(rows, COLUMNS, sharex=True, sharey=True, squeeze=False).flat)
    for axes in panels[len(kinds) :]:
        axes.remove()
    for axes, kind in zip(panels[: len(kinds)], kinds, strict=True):
        axes.set_title(kind, fontweight="normal", loc="center")
        axes.set_yticks([])
        axes.set_xticks([0, 1], ["first layer", "last"])
        for name, parameters in measured.items():
            if kind in parameters and np.isfinite(parameters[kind].score_r2):
                scores = parameters[kind].scores
                position = np.linspace(0, 1, len(scores))
                style = looks[SEED.sub("", name)]
                axes.plot(position, scores / scores.std(), linewidth=0.8, markersize=2.5, markeredgewidth=0, **style)
    part.suptitle("a  First principal score of each layer (unit variance)", x=0.005, ha="left", **HEADING)


def _legend(part: SubFigure, measured: Measured, looks: Mapping[str, dict[str, Any]]) -> None:
    counts = arms(measured)
    labels = [arm if counts[arm] == 1 else f"{arm} ({counts[arm]} seeds)" for arm in looks]
    handles = [Line2D([], [], label=label, **look) for label, look in zip(labels, looks.values(), strict=True)]
    columns = max(1, int(TEXT / (0.5 + 0.052 * max(map(len, labels)))))
    part.legend(handles=handles, loc="outside lower center", ncols=columns, columnspacing=1.2)


def _shares(part: SubFigure, measured: Measured, kinds: list[str], looks: Mapping[str, dict[str, Any]]) -> None:
    """Per kind the R^2 of the first score, and the linear share of the whole variance, each beside chance."""
    left, right = part.subplots(1, 2, sharey=True)
    depths = sorted({len(found.scores) for parameters in measured.values() for found in parameters.values()})
    for depth in depths:
        left.axvspan(0, chance_95(depth), color=GREY, alpha=0.15, linewidth=0)
        for axes in (left, right):
            axes.axvline(chance(depth), color=GREY, linewidth=0.8, linestyle=(0, (4, 2)))
    step = min(0.2, 0.6 / len(looks))
    for name, parameters in measured.items():
        arm = SEED.sub("", name)
        offset = step * (list(looks).index(arm) - (len(looks) - 1) / 2)
        for kind, found in parameters.items():
            row = kinds.index(kind) + offset
            _point(left, found.score_r2, row, looks[arm])
            _point(right, found.linear_share, row, looks[arm])
    rows_axis(left, kinds)
    rows_axis(right, kinds)
    for axes, title in (
        (left, r"b  $R^2$ of the first score on the layer"),
        (right, "c  Linear share of the whole variance"),
    ):
        axes.set_title(title)
        axes.set_xlim(-0.03, 1.03)
    depth_text = ", ".join(map(str, depths))
    left.set_xlabel(rf"Dashed: chance at {depth_text} layers; grey: its 95 % range")
    right.set_xlabel("Dashed: chance")


def _point(axes: Axes, value: float, row: float, look: dict[str, Any]) -> None:
    size = 22 if look["marker"] == "*" else 10
    axes.scatter(value, row, s=size, color=look["color"], marker=look["marker"], linewidths=0, zorder=3, clip_on=False)
