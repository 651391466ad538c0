"""The figures of the learngene's study: accuracy by depth, and how the descendants of every depth converge."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from regrow.config import Learngene
from regrow.report.estimate import estimate
from regrow.report.families import Family
from regrow.report.figures import draw_curves
from regrow.report.frames import Records, over_seeds
from regrow.report.growth import TEST
from regrow.report.learngene.descendants import LEAD, descendant_outcomes
from regrow.report.saving import smoothed_targets
from regrow.report.style import TEXT, blank, legend_line, look
from regrow.study import descendant

BY_DEPTH, CONVERGENCE = "accuracy_by_depth", "descendants_convergence"
PANELS = 4
"""The most panels in a line."""
SPREAD = 0.15
"""The share of the distance between two depths over which the arms' markers are spread."""


def by_depth_text(learngene: Learngene) -> str:
    """What the first figure shows, for who cannot see it."""
    scratch = learngene.arms[learngene.scratch].label
    return f"Test accuracy by depth of {len(learngene.arms)} arms, and its lead over {scratch}; bars are one sd"


def accuracy_by_depth(records: Records, learngene: Learngene) -> Figure:
    """Left: test accuracy against depth. Right: its lead over scratch of the same seed. Bars are one sd over seeds."""
    found = pd.concat({depth: descendant_outcomes(records, family) for depth, family in records.depths.items()})
    figure, (whole, lead) = _under_a_legend(records, 2, 2.6)
    for axes, column in ((whole, TEST), (lead, LEAD)):
        for place, arm in enumerate(learngene.arms):
            if column == TEST or arm != learngene.scratch:
                _by_depth(axes, records, found, column, arm, place / max(1, len(learngene.arms) - 1) - 0.5)
        _depth_axis(axes, records, learngene)
    scratch = learngene.arms[learngene.scratch].label
    lead.axhline(0, color="black", linewidth=0.8)
    whole.set_title("a  After training")
    whole.set_ylabel("Test accuracy (%)")
    lead.set_title(f"b  Lead over {scratch}")
    lead.set_ylabel(f"Test accuracy − {scratch}'s (points)")
    return figure


def _by_depth(axes: Axes, records: Records, found: pd.DataFrame, column: str, arm: str, offset: float) -> None:
    depths = sorted(records.depths)
    cells = [estimate(over_seeds(found.loc[depth], descendant(arm, depth), column)) for depth in depths]
    style = look(records.depths[depths[0]], descendant(arm, depths[0]))
    gap = min(np.diff(depths), default=1.0) * SPREAD
    axes.errorbar(
        [depth + offset * gap for depth in depths],
        [cell.mean for cell in cells],
        yerr=[0.0 if math.isnan(cell.sd) else cell.sd for cell in cells],
        markersize=8 if style["marker"] == "*" else 4.5,
        markeredgecolor="white",
        markeredgewidth=0.5,
        elinewidth=0.7,
        linewidth=0.8,
        **style,
    )


def _depth_axis(axes: Axes, records: Records, learngene: Learngene) -> None:
    """Every depth with its parameters in millions."""
    sizes = records.runs["parameters"]
    seed = records.params.seeds[0]
    each = {d: sizes[f"target/{descendant(learngene.scratch, d)}_s{seed}"] / 1e6 for d in sorted(learngene.depths)}
    axes.set_xticks(list(each), [f"{depth}\n{size:.3g} M" for depth, size in each.items()])
    axes.set_xlabel("Depth, and parameters")
    axes.grid(visible=False, axis="x")


def convergence(records: Records, learngene: Learngene) -> Figure:
    """A panel a depth: smoothed minival accuracy against training FLOPs, the seeds as thin lines.

    An arm that trains longer than scratch is drawn as the level at which it ends: at its schedule's early steps a
    longer cosine has another learning rate than the others.
    """
    curves = smoothed_targets(records)
    columns = min(PANELS, len(records.depths))
    lines = math.ceil(len(records.depths) / columns)
    figure, panels = _under_a_legend(records, columns, 0.35 + 1.95 * lines, lines, ends=True)
    for axes in panels[len(records.depths) :]:
        axes.remove()
    for axes, (depth, family) in zip(panels[: len(records.depths)], sorted(records.depths.items()), strict=True):
        _converging(axes, family, curves[curves["arm"].isin(family.arms)])
        axes.set_title(f"Depth {depth}")
    for axes in panels[: len(records.depths) : columns]:
        axes.set_ylabel("Minival accuracy (%)")
    return figure


def _converging(axes: Axes, family: Family, curves: pd.DataFrame) -> None:
    alike = [family.scratch, *family.equally_trained()]
    top = float(curves[curves["arm"].isin(alike)]["flops"].max())
    exponent = math.floor(math.log10(top))
    for arm in family.arms:
        own = curves[curves["arm"] == arm]
        if arm in alike:
            draw_curves(axes, family, own, arm, 10.0**exponent)
            _markers(axes, family, own, arm, 10.0**exponent)
        else:
            final = float(own.groupby("seed")["smoothed"].last().mean())
            style = look(family, arm)
            axes.axhline(final, color=style["color"], linewidth=0.8, linestyle=style["linestyle"])
            axes.plot([top / 10.0**exponent], [final], clip_on=False, markersize=4.5, markeredgecolor="white", **style)
    axes.set_xlim(0, top / 10.0**exponent)
    axes.set_xlabel(rf"Training FLOPs ($\times 10^{{{exponent}}}$)")


def _markers(axes: Axes, family: Family, curves: pd.DataFrame, arm: str, unit: float) -> None:
    """Three markers along an arm's mean curve, at other places than its neighbours'."""
    mean = curves.groupby("step")[["flops", "smoothed"]].mean()
    place = list(family.arms).index(arm) / len(family.arms)
    at = np.unique(((np.arange(3) + place) / 3 * len(mean)).astype(int))
    style = look(family, arm) | {"linestyle": ""}
    size = 7 if style["marker"] == "*" else 4
    some = mean.iloc[at]
    axes.plot(
        some["flops"] / unit,
        some["smoothed"],
        markersize=size,
        markeredgecolor="white",
        markeredgewidth=0.4,
        clip_on=False,
        zorder=4,
        **style,
    )


def _under_a_legend(
    records: Records, columns: int, height: float, lines: int = 1, *, ends: bool = False
) -> tuple[Figure, list[Axes]]:
    """A figure as wide as the text with a legend of all arms on top, and its panels in reading order.

    `ends`: an arm that trains longer than scratch is named as the level at which it ends.
    """
    family = next(iter(records.depths.values()))
    alike = [family.scratch, *family.equally_trained()]
    labels = {
        name: arm.label + (", its end" if ends and name not in alike else "") for name, arm in family.arms.items()
    }
    handles = [legend_line(label, look(family, name)) for name, label in labels.items()]
    across = max(1, int(TEXT / (0.45 + 0.052 * max(map(len, labels.values())))))
    figure = blank(TEXT, height + 0.14 * math.ceil(len(handles) / across))
    figure.legend(handles=handles, loc="outside upper center", ncols=across, columnspacing=1.2)
    return figure, list(figure.subplots(lines, columns, squeeze=False).flat)
