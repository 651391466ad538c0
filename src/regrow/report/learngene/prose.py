"""The section of REPORT.md on learngenes: what was compared, and what came out, in words and numbers."""

from __future__ import annotations

import math

import pandas as pd

from regrow.config import Learngene
from regrow.report.estimate import estimate, number
from regrow.report.families import Family
from regrow.report.figures import image
from regrow.report.frames import Records, over_seeds
from regrow.report.growth import TEST
from regrow.report.learngene.cost import family_costs
from regrow.report.learngene.descendants import LEAD, descendant_outcomes
from regrow.report.learngene.figures import BY_DEPTH, CONVERGENCE, by_depth_text
from regrow.report.learngene.storage import stored_parameters
from regrow.report.table import Table
from regrow.study import descendant


def learngene_parts(records: Records, learngene: Learngene, tables: dict[str, Table]) -> list[str]:
    """The section's paragraphs, tables and figures, in the order in which they are read."""
    converging = "Minival accuracy against training FLOPs, a panel a depth, thin lines for the seeds"
    parts = [
        _what(records, learngene),
        _accuracy(records, learngene),
        tables["descendants"].markdown(),
        tables["descendants_improvement"].markdown(),
        image(BY_DEPTH, by_depth_text(learngene)),
        image(CONVERGENCE, converging),
        _cost(records, learngene),
        tables["family_cost"].markdown(),
        _storage(records, learngene),
        tables["storage"].markdown(),
        tables["fixed_set"].markdown(),
    ]
    if "descendants_transfer" in tables:
        parts.append(tables["descendants_transfer"].markdown())
    return [part for part in parts if part]


def _what(records: Records, learngene: Learngene) -> str:
    model, depths = learngene.model, ", ".join(map(str, learngene.depths))
    origin = "trained here" if learngene.teacher.recipe else "pretrained"
    return (
        f"A family of ViTs of width {model.embed_dim}, {model.num_heads} heads, patches of {model.patch_size} px, no "
        f"class token, at the depths {depths}. Learngenes are distilled from {learngene.teacher.model.name}, {origin}, "
        f"through an auxiliary net of depth {model.depth}. The rule of the savings is the same, with the "
        "scratch run of the same depth and seed."
    )


def _accuracy(records: Records, learngene: Learngene) -> str:
    """Who is ahead at each depth at equal training, how far the best learngene, and what longer training gives."""
    scratch = learngene.arms[learngene.scratch].label
    lines = [
        f"Highest test accuracy at each depth among the arms that see as many images there as {scratch}, the best "
        "learngene where that is another, and what is trained on another number of images:\n"
    ]
    for depth, family in records.depths.items():
        found = descendant_outcomes(records, family)
        means = {arm: float(over_seeds(found, arm, TEST).mean()) for arm in family.arms}
        alike = [family.scratch, *family.equally_trained()]
        learned = [arm for arm in alike if family.arms[arm].source in learngene.auxiliaries]
        ahead = dict.fromkeys(max(arms, key=means.__getitem__) for arms in (alike, learned) if arms)
        others = [arm for arm in means if arm not in alike]
        texts = [_outcome(family, means[arm], over_seeds(found, arm, LEAD), arm) for arm in (*ahead, *others)]
        texts += _pretrained(records, learngene, depth)
        lines.append(f"- depth {depth}: {'; '.join(texts)}")
    return "\n".join(lines)


def _outcome(family: Family, mean: float, leads: pd.Series, arm: str) -> str:
    """An arm's accuracy and how far it is from scratch, with the 95 % interval where there is one."""
    text, lead = f"{family.arms[arm].label} {number(mean)} %", estimate(leads)
    if arm == family.scratch:
        return text
    sign, known = "+" if lead.mean > 0 else "", not math.isnan(lead.low)
    interval = f", 95 % interval {number(lead.low)} to {number(lead.high)}" if known else ""
    return f"{text} ({sign}{number(lead.mean)} points against {family.arms[family.scratch].label}{interval})"


def _pretrained(records: Records, learngene: Learngene, depth: int) -> list[str]:
    """What a source of the same depth has after its pretraining: scratch again, by the recipe of the sources."""
    test, duration = records.of("pretrain")["test_accuracy"], learngene.pretrain.duration.replace("_", " ")
    return [
        f"the source `{name}`, trained from scratch for {duration}, "
        f"{number(float(test.xs(descendant(name, depth), level='arm').mean()))} %"
        for name, source in learngene.sources.items()
        if source.depth is None
    ]


def _cost(records: Records, learngene: Learngene) -> str:
    """What a family costs from each learngene, in three accounts, and what training longer from scratch costs."""
    costs, found = family_costs(records, learngene), []
    for name, arm in learngene.arms.items():
        ratios = {column: number(float(costs[column][name]), 2) for column in costs if column.endswith("_ratio")}
        if arm.source in learngene.auxiliaries:
            found.append(
                f"{arm.label} {ratios['total_ratio']}, {ratios['with_forward_ratio']} with the teacher's forward "
                f"passes, {ratios['with_teacher_ratio']} with its training too ({ratios['examples_ratio']} counted in "
                "images, as epochs do)"
            )
        elif arm.operator is None and name != learngene.scratch:
            found.append(f"{arm.label} {ratios['total_ratio']}")
    scratch = learngene.arms[learngene.scratch].label
    return f"Having every depth, where training each from {scratch} costs 1 in FLOPs: {'; '.join(found)}."


def _storage(records: Records, learngene: Learngene) -> str:
    found = stored_parameters(records, learngene)
    words = [
        f"{learngene.arms[name].label} stores {number(found['parameters'][name] / 1e6, 3)} M parameters; one model of "
        f"every depth has {number(found['ratio'][name])} times as many ({number(found['ratio_without_heads'][name])} "
        "times without heads)"
        for name in found.index
        if learngene.arms[name].source in learngene.auxiliaries
    ]
    return " ".join(f"{text}." for text in words)
