"""The conventions figure: a dot a convention and arm, the rule's own marked."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from regrow.report.conventions.choices import COSTS, LEVEL, NEAR
from regrow.report.conventions.table import conventions_table, percent
from regrow.report.frames import Records
from regrow.report.style import GREY, TEXT, blank, rows_axis

CONVENTIONS = "conventions"
LOOKS = {
    (False, False): ("o", "#0072B2", "target alone"),
    (True, False): ("s", "#E69F00", "with the operator's fit"),
    (False, True): ("^", "#009E73", "with the source"),
    (True, True): ("D", "#D55E00", "with both"),
}
"""Marker, colour and words, by whether a fit is counted and whether the source is charged."""
LANES = {"final": -0.27, "near": 0.0, "level": 0.27}
"""Where in an arm's row the dots of a target lie."""


def conventions_text(records: Records) -> str:
    """What the figure shows, for who cannot see it."""
    return (
        f"Mean saving of {len(records.growth.arms) - 1} arms under every convention, a dot each; a ring marks the "
        "rule's own, and the text at the right says from where to where each arm's dots reach"
    )


def conventions_figure(records: Records) -> Figure:
    """A row an arm, in it a lane a target. Marker and colour tell what is charged, size and filling what is counted."""
    data = conventions_table(records).data
    arms = dict.fromkeys(data["arm"])
    figure = blank(TEXT, 0.95 + 0.52 * len(arms))
    axes = figure.subplots()
    axes.axvline(0, color="black", linewidth=0.8)
    axes.use_sticky_edges = False
    axes.yaxis.remove_overlapping_locs = False
    for row, arm in enumerate(arms):
        _row(axes, data[data["arm"] == arm], row)
    rows_axis(axes, list(dict.fromkeys(data["label"])))
    lanes = [(row + lane, name) for row in range(len(arms)) for name, lane in LANES.items()]
    names = {"final": "final", "near": f"{100 * NEAR:.0f} %", "level": "fixed"}
    axes.set_yticks([y for y, _ in lanes], [names[name] for _, name in lanes], minor=True)
    axes.tick_params(axis="y", which="minor", length=0, labelsize=5, labelcolor=GREY)
    axes.tick_params(axis="y", which="major", pad=24)
    axes.set_xlabel(
        "Saved until scratch's final minival accuracy, "
        f"{names['near']} of it, or a fixed level ({100 * LEVEL:.0f} % of the finals' mean) (%)"
    )
    figure.legend(handles=_legend(), loc="outside upper center", ncols=4, columnspacing=1.0, handletextpad=0.2)
    return figure


def _row(axes: Axes, dots: pd.DataFrame, row: int) -> None:
    """An arm's dots, and at the right from where to where they reach; a miss has none."""
    means = dots["saved_mean"]
    shown = dots[np.isfinite(means)]
    if len(shown):
        low, high = shown["saved_mean"].min(), shown["saved_mean"].max()
        axes.barh(row, high - low, left=low, height=0.84, color="#F0F0F0", zorder=0.5)
    for dot in shown.itertuples():
        marker, color, _ = LOOKS[dot.operator != "free", dot.source != "free"]
        y = row + LANES[dot.target]
        face = color if dot.cost in ("flops", "flops_2x") else "white"
        size = 9 if dot.cost == "flops_2x" else 17
        axes.scatter(
            dot.saved_mean, y, s=size, marker=marker, facecolors=face, edgecolors=color, linewidths=0.8, zorder=3
        )
        if dot.headline:
            axes.scatter(dot.saved_mean, y, s=60, facecolors="none", edgecolors="black", linewidths=0.9, zorder=4)
    text = f"{percent(means.min())} to {percent(means.max())}"
    axes.annotate(text, (1.01, row), xycoords=("axes fraction", "data"), va="center", fontsize=6)


def _legend() -> list[Line2D]:
    """What is charged, then the costs, then the ring."""
    looks = [(marker, color, color, 4.0, words) for marker, color, words in LOOKS.values()]
    looks += [("o", GREY, GREY, 4.0, COSTS["flops"]), ("o", GREY, GREY, 2.8, COSTS["flops_2x"])]
    looks += [("o", "white", GREY, 4.0, "steps or epochs"), ("o", "none", "black", 7.0, "the rule's own")]
    return [
        Line2D(
            [],
            [],
            linestyle="",
            marker=marker,
            markerfacecolor=face,
            markeredgecolor=edge,
            markersize=size,
            label=words,
        )
        for marker, face, edge, size, words in looks
    ]
