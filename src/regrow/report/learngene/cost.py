"""What it costs to have a model of every depth: what is trained once, and every descendant's training.

For every arm and seed, with each model counted once however many depths start from it:

    once            the auxiliary net's training, or the pretraining of the models that are inherited from
    descendants     at every depth the training and, of a learned operator, all fits
    total           once + descendants
    with forward    adds the teacher's forward passes in the distillation
    with teacher    adds the teacher's own training; there is one teacher for all seeds, charged once a family

Examples count the same trainings as TLEG's epochs do: an image costs the same at every depth, the teacher nothing.
"""

from __future__ import annotations

import pandas as pd

from regrow.config import Learngene
from regrow.report.estimate import number
from regrow.report.frames import Records
from regrow.report.table import Table, setting
from regrow.study import descendant

TOTALS = ("total", "with_forward", "with_teacher")


def stored(records: Records, learngene: Learngene, arm: str, seed: int) -> list[str]:
    """The keys of the runs that an arm's descendants of all depths start from, each once."""
    grown = [f"grow/{descendant(arm, depth)}_s{seed}" for depth in learngene.depths]
    parents = records.runs["init"].reindex(grown).dropna()
    return sorted(set(parents) - {""})


def family_costs(records: Records, learngene: Learngene) -> pd.DataFrame:
    """Index arm, means over seeds: `<part>_flops` and `<part>_examples`, `models`, and `<total>_ratio` to scratch's.

    The teacher's examples are its own training's; a forward pass is no example.
    """
    seeds = records.params.seeds
    rows = {arm: pd.DataFrame([family_cost(records, learngene, arm, seed) for seed in seeds]) for arm in learngene.arms}
    found = pd.DataFrame({arm: frame.mean() for arm, frame in rows.items()}).T.rename_axis("arm")
    scratch = found.loc[learngene.scratch]
    for total in TOTALS:
        found[f"{total}_ratio"] = found[f"{total}_flops"] / scratch["total_flops"]
    found["examples_ratio"] = found["total_examples"] / scratch["total_examples"]
    return found


def family_cost(records: Records, learngene: Learngene, arm: str, seed: int) -> dict[str, float]:
    """What every depth of an arm costs with one seed: `models`, `<part>_flops` and `<part>_examples`."""
    runs = records.runs[["flops", "selection_flops", "teacher_flops", "examples"]].astype(float)
    names = [f"{descendant(arm, depth)}_s{seed}" for depth in learngene.depths]
    sources = stored(records, learngene, arm, seed)
    once = runs.loc[sources]
    teachers = runs.loc[sorted(set(records.runs["init"][sources]) - {""})]
    fits = runs.reindex([f"grow/{name}" for name in names]).fillna(0.0)
    own = pd.concat([fits, runs.loc[[f"target/{name}" for name in names]]])
    flops = {"once": once["flops"].sum(), "descendants": (own["flops"] + own["selection_flops"]).sum()}
    flops["total"] = flops["once"] + flops["descendants"]
    flops["with_forward"] = flops["total"] + once["teacher_flops"].sum()
    flops["with_teacher"] = flops["with_forward"] + teachers["flops"].sum()
    examples = {"once": once["examples"].sum(), "descendants": own["examples"].sum()}
    examples |= {"total": sum(examples.values()), "teacher": teachers["examples"].sum()}
    found = {f"{part}_flops": value for part, value in flops.items()}
    return {"models": len(once)} | found | {f"{part}_examples": value for part, value in examples.items()}


def family_cost_table(records: Records, learngene: Learngene) -> Table:
    """One row an arm."""
    costs, data, shown = family_costs(records, learngene), [], []
    for name, arm in learngene.arms.items():
        cost = costs.loc[name]
        data.append({"arm": name, "label": arm.label, **cost.to_dict(), "models": int(cost["models"])})
        shown.append(
            {
                "Arm": arm.label,
                "Trained\nonce": f"{cost['once_flops']:.2e}" if cost["models"] else "–",
                "Descendants": f"{cost['descendants_flops']:.2e}",
                "Total": f"{cost['total_flops']:.2e}",
                "Ratio": _ratio(cost["total_ratio"]),
                "with teacher's\nforward": _ratio(cost["with_forward_ratio"]),
                "with its\ntraining": _ratio(cost["with_teacher_ratio"]),
                "Ratio of\nexamples": _ratio(cost["examples_ratio"]),
            }
        )
    caption = _caption(records, learngene)
    return Table(name="family_cost", caption=caption, data=pd.DataFrame(data), shown=pd.DataFrame(shown))


def _ratio(value: float) -> str:
    return f"{number(value, 2)}×"


def _caption(records: Records, learngene: Learngene) -> str:
    depths = ", ".join(map(str, learngene.depths))
    own = "" if learngene.teacher.recipe else " The teacher came trained: what that took is not known and not counted."
    return (
        f"The family's cost. Training FLOPs of having every depth ({depths}): auxiliary nets and pretrained models "
        "once each, then the descendants. Ratios are to training "
        f"{learngene.arms[learngene.scratch].label} at every depth: first without the teacher, then with its forward "
        "passes in the distillation, then with its training too, one teacher a family. The last column counts "
        f"training images instead, as epochs do.{own} {setting(records.params)}"
    )
