"""The figures: accuracy against compute, compute saved, transfer accuracy."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from regrow.report.families import Family
from regrow.report.frames import Records, over_seeds
from regrow.report.saving import ACCOUNTS, crossings, savings, smoothed_targets
from regrow.report.style import COLUMN, GREY, TEXT, blank, legend_line, look, rows_axis
from regrow.report.transfer import MEAN, transfer_accuracies, transfer_metrics, transfer_rows
from regrow.study import NO_PRETRAINING

ACCURACY, SAVED, TRANSFER = "accuracy_vs_flops", "compute_saved", "transfer_accuracy"
LOOKS = (("o", "#0072B2", "target only"), ("s", "#E69F00", "with operator"), ("D", "#D55E00", "with source"))
"""Marker, colour and words for each of the accounts of a saving."""
ZOOM = 0.12
"""The share of scratch's whole rise, below the target and above it, that the second panel shows."""


def alt_text(records: Records) -> str:
    """What the first figure shows, for who cannot see it."""
    return (
        f"Minival accuracy against target-training FLOPs for {len(records.growth.arms)} arms, tier "
        f"{records.params.tier}; a marker shows where an arm reaches scratch's final accuracy"
    )


def image(name: str, text: str) -> str:
    """A figure in REPORT.md."""
    return f"![{text}](figures/{name}.svg)"


def accuracy_vs_flops(records: Records) -> Figure:
    """Mean smoothed curve of every arm, seeds as thin lines; right: the same around the target."""
    family = records.growth
    curves, crossed = smoothed_targets(records), crossings(records, family)
    curves = curves[curves["arm"].isin(family.arms)]
    target = float(crossed["target_accuracy"].mean())
    exponent = math.floor(math.log10(curves["flops"].max()))
    handles = _legend(records, crossed)
    columns = max(1, int(TEXT / (0.45 + 0.052 * max(len(str(handle.get_label())) for handle in handles))))
    figure = blank(TEXT, 2.6 + 0.14 * math.ceil(len(handles) / columns))
    whole, near = figure.subplots(1, 2, width_ratios=(1, 1.15))
    for axes in (whole, near):
        axes.axhline(target, color="black", linewidth=0.8, linestyle=(0, (4, 2)), zorder=1.5)
        for arm in family.arms:
            draw_curves(axes, family, curves[curves["arm"] == arm], arm, 10.0**exponent)
            at = over_seeds(crossed, arm, "crossing_flops") / 10.0**exponent
            if np.isfinite(at).all():
                style = look(family, arm)
                size = 70 if style["marker"] == "*" else 34
                edge = {"edgecolors": "white", "linewidths": 0.7, "zorder": 5, "clip_on": False}
                axes.scatter(at.mean(), target, s=size, color=style["color"], marker=style["marker"], **edge)
        axes.set_xlabel(rf"Target-training FLOPs ($\times 10^{{{exponent}}}$)")
        axes.set_xlim(left=0)
    whole.set_ylabel("Minival accuracy (%)")
    start = float(curves[curves["arm"] == records.params.scratch].groupby("seed")["smoothed"].first().mean())
    room = max(target - start, 1.0) * ZOOM
    near.set_ylim(target - room, target + room)
    _from_first_to_last(near, crossed["crossing_flops"] / 10.0**exponent)
    whole.set_title("a  Whole training")
    near.set_title("b  Around scratch's final accuracy")
    figure.legend(handles=handles, loc="outside upper center", ncols=columns, columnspacing=1.2)
    return figure


def _from_first_to_last(axes: Axes, crossed: pd.Series) -> None:
    """Show where arms cross; all of the axis where that is one place or none."""
    reached = crossed[np.isfinite(crossed)]
    if reached.nunique() > 1:
        edge = 0.08 * (reached.max() - reached.min())
        axes.set_xlim(max(0.0, reached.min() - edge), reached.max() + edge)


def draw_curves(axes: Axes, family: Family, curves: pd.DataFrame, arm: str, unit: float) -> None:
    """The mean of an arm's smoothed curves over training FLOPs in that unit, and its seeds as thin lines."""
    style = look(family, arm)
    for _, curve in curves.groupby("seed"):
        axes.plot(curve["flops"] / unit, curve["smoothed"], color=style["color"], linewidth=0.5, alpha=0.35)
    mean = curves.groupby("step")[["flops", "smoothed"]].mean()
    axes.plot(mean["flops"] / unit, mean["smoothed"], color=style["color"], linestyle=style["linestyle"])


def _legend(records: Records, crossed: pd.DataFrame) -> list[Line2D]:
    """The arms, how many seeds reached the target where not all did, and the target itself."""
    handles = []
    for name, arm in records.params.arms.items():
        at = over_seeds(crossed, name, "crossing_flops")
        reached, n = int(np.isfinite(at).sum()), len(at)
        label = arm.label if reached == n else f"{arm.label} (miss: {reached} of {n})"
        handles.append(legend_line(label, look(records.growth, name)))
    final = f"{records.params.arms[records.params.scratch].label}'s final accuracy"
    return [*handles, Line2D([], [], label=final, color="black", linewidth=0.8, linestyle=(0, (4, 2)))]


def compute_saved(records: Records) -> Figure:
    """Every grown arm's savings in the three accounts; small dots are seeds, misses are named at the right."""
    saved = savings(records, records.growth)
    arms = [name for name in records.growth.arms if name != records.params.scratch]
    figure = blank(COLUMN, 0.75 + 0.48 * len(arms))
    axes = figure.subplots()
    axes.axvline(0, color="black", linewidth=0.8)
    for row, arm in enumerate(arms):
        for offset, account, (marker, color, _) in zip((-0.28, 0.0, 0.28), ACCOUNTS, LOOKS, strict=True):
            _seeds_and_mean(
                axes, over_seeds(saved, arm, account), row + offset, 0.15, {"marker": marker, "color": color}
            )
        reached, n = int(over_seeds(saved, arm, "reached").sum()), len(records.params.seeds)
        text = f"{reached} of {n}" if reached == n else f"miss: {reached} of {n}"
        axes.annotate(text, (1.02, row), xycoords=("axes fraction", "data"), va="center", fontsize=6)
    axes.annotate("reached", (1.02, -0.62), xycoords=("axes fraction", "data"), va="bottom", fontsize=6, color=GREY)
    rows_axis(axes, [records.params.arms[name].label for name in arms])
    axes.set_xlabel("FLOPs saved until scratch's final accuracy (%)")
    handles = [
        Line2D([], [], color=color, marker=marker, markeredgecolor="white", linestyle="", label=label)
        for marker, color, label in LOOKS
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=3, columnspacing=1.0, handletextpad=0.1)
    return figure


def _seeds_and_mean(axes: Axes, values: pd.Series, row: float, gap: float, style: dict[str, Any]) -> None:
    """A marker for the mean and, `gap` of a row below it, a dot for every seed; a miss has no mean to draw."""
    finite, marker, color = values[np.isfinite(values)], style["marker"], style["color"]
    axes.scatter(finite, np.full(len(finite), row + gap / 2), s=5, color=color, linewidths=0, zorder=3)
    if len(finite) == len(values):
        edge = {"linewidths": 1.2} if marker == "x" else {"edgecolors": "white", "linewidths": 0.6}
        size = 60 if marker == "*" else 26
        axes.scatter(values.mean(), row - gap / 2, s=size, color=color, marker=marker, zorder=4, **edge)


def transfer_accuracy(records: Records) -> Figure:
    """One panel a set, one row an arm: the mean, and small dots for the seeds."""
    accuracies = transfer_accuracies(records).drop(columns=MEAN)
    metrics = transfer_metrics(records)
    rows = transfer_rows(records)
    lines = math.ceil(len(accuracies.columns) / 4)
    columns = math.ceil(len(accuracies.columns) / lines)
    figure = blank(TEXT, lines * (0.62 + 0.22 * len(rows)))
    panels = list(figure.subplots(lines, columns, sharey=True, squeeze=False).flat)
    for axes in panels[len(accuracies.columns) :]:
        axes.remove()
    for axes, name in zip(panels[: len(accuracies.columns)], accuracies.columns, strict=True):
        axes.axvline(
            over_seeds(accuracies, NO_PRETRAINING, name).mean(), color=GREY, linewidth=0.8, linestyle=(0, (4, 2))
        )
        for row, arm in enumerate(rows):
            _seeds_and_mean(axes, over_seeds(accuracies, arm, name), row, 0.42, look(records.growth, arm))
        rows_axis(axes, list(rows.values()))
        axes.set_title(name)
        axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
        axes.margins(x=0.08)
        axes.set_xlabel(f"Test {metrics[name].replace('_', ' ')} (%)")
    return figure
