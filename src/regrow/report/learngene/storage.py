"""What must be stored to initialise every depth, and what one fixed set of parameters gives at each."""

from __future__ import annotations

import pandas as pd

from regrow.config import Learngene, LearngeneConfig, ModelConfig, TrainConfig
from regrow.report.estimate import estimate, number
from regrow.report.frames import Records, over_seeds
from regrow.report.learngene.cost import stored
from regrow.report.table import Table, over_seeds_text, setting
from regrow.study import descendant, runs

MEAN = "mean"
"""In place of a depth: the mean over the depths, within a seed first."""


def stored_parameters(records: Records, learngene: Learngene) -> pd.DataFrame:
    """Index arm, of those that store anything: `models`, and `parameters` and their `ratio`, also without heads.

    The ratio is that of one model of every depth to what the arm stores. All of a source counts, also where the
    operator uses a part of it.
    """
    seed = records.params.seeds[0]
    heads = {key: head_parameters(model) for key, model in _models(records).items()}
    each = [f"target/{descendant(learngene.scratch, depth)}_s{seed}" for depth in learngene.depths]
    every_depth = _counts(records, heads, each)
    found = {}
    for arm in learngene.arms:
        if keys := stored(records, learngene, arm, seed):
            own = _counts(records, heads, keys)
            ratios = {name.replace("parameters", "ratio"): every_depth[name] / own[name] for name in own}
            found[arm] = {"models": len(keys)} | own | ratios
    columns = ["models", "parameters", "parameters_without_heads", "ratio", "ratio_without_heads"]
    return pd.DataFrame.from_dict(found, orient="index", columns=columns).rename_axis("arm")


def head_parameters(model: ModelConfig) -> int:
    """Weights and biases of the classifier."""
    return (model.embed_dim + 1) * model.num_classes


def _models(records: Records) -> dict[str, ModelConfig]:
    configs = {key: run.config for key, run in runs(records.params).items()}
    return {key: made.model for key, made in configs.items() if isinstance(made, TrainConfig | LearngeneConfig)}


def _counts(records: Records, heads: dict[str, int], keys: list[str]) -> dict[str, int]:
    total = int(records.runs["parameters"][keys].sum())
    return {"parameters": total, "parameters_without_heads": total - sum(heads[key] for key in keys)}


def storage_table(records: Records, learngene: Learngene) -> Table:
    """One row an arm that stores anything."""
    found = stored_parameters(records, learngene)
    labels = [learngene.arms[arm].label for arm in found.index]
    shown = [
        {
            "Arm": label,
            "Models": str(row.models),
            "Parameters\n(M)": number(row.parameters / 1e6, 3),
            "without\nheads (M)": number(row.parameters_without_heads / 1e6, 3),
            "Ratio": f"{number(row.ratio)}×",
            "Ratio without\nheads": f"{number(row.ratio_without_heads)}×",
        }
        for label, row in zip(labels, found.itertuples(), strict=True)
    ]
    data = found.reset_index()
    data.insert(1, "label", labels)
    caption = _storage_caption(records, learngene)
    return Table(name="storage", caption=caption, data=data, shown=pd.DataFrame(shown))


def fixed_set_table(records: Records, learngene: Learngene) -> Table:
    """One row an arm that stores one set for all depths, and scratch; the CSV has one row an arm and depth."""
    found = stored_parameters(records, learngene)
    tests, data, shown = depth_accuracies(records, learngene), [], []
    for name, arm in learngene.arms.items():
        if name != learngene.scratch and (name not in found.index or found["models"][name] != 1):
            continue
        parameters = int(found["parameters"].get(name, 0))
        text = {"Arm": arm.label, "Stored\n(M)": number(parameters / 1e6, 3) if parameters else "–"}
        for depth in tests.columns:
            cell = estimate(over_seeds(tests, name, depth))
            row = {"arm": name, "depth": depth, "label": arm.label, "stored_parameters": parameters, "n": cell.n}
            data.append(row | cell.columns("test_accuracy"))
            text["Mean" if depth == MEAN else f"Depth {depth}"] = str(cell)
        shown.append(text)
    caption = _fixed_caption(records, learngene)
    return Table(name="fixed_set", caption=caption, data=pd.DataFrame(data), shown=pd.DataFrame(shown))


def depth_accuracies(records: Records, learngene: Learngene) -> pd.DataFrame:
    """Index (arm, seed), a column a depth and `mean`: test accuracy in percent after training."""
    test = records.of("target")["test_accuracy"]
    columns = {
        depth: pd.concat({arm: test.xs(descendant(arm, depth), level="arm") for arm in learngene.arms}, names=["arm"])
        for depth in learngene.depths
    }
    found = pd.DataFrame(columns)
    return found.assign(**{MEAN: found.mean(axis=1)})


def _storage_caption(records: Records, learngene: Learngene) -> str:
    return (
        f"Storage. Parameters that must be stored to initialise all of the {len(learngene.depths)} depths, and the "
        "ratio of what one model of every depth has to it; the arms that are not listed start from nothing stored. All "
        f"of a source counts, also where the operator uses a part of it. {setting(records.params)}"
    )


def _fixed_caption(records: Records, learngene: Learngene) -> str:
    return (
        "One fixed set. Test accuracy in percent of the arms that initialise every depth from the same stored "
        f"parameters, and of {learngene.arms[learngene.scratch].label}; {over_seeds_text(records.params)}. "
        f"{setting(records.params)}"
    )
