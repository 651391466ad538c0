"""What is behind one cell of a table: every seed's value, the runs with their recipes and weights, the command.

    explain(params, Path("results/mini"), "growth", "mango", "flops_saved")

A seed's value is the cell of the same table made from that seed's records alone, so a new table needs no code here.
What a table makes of all seeds at once is then made of one: `conventions`' fixed level, that is.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import pandas as pd

from regrow.config import GrowConfig, LearngeneConfig, ModelConfig, Params, Recipe, RunConfig, TeacherConfig
from regrow.errors import UserError
from regrow.report.frames import Records
from regrow.report.table import Table
from regrow.report.tables import one_seed, record_tables
from regrow.report.transfer import MEAN
from regrow.study import Run, descendant, runs

KEYS = ("arm", "depth", "seed", "data")
"""The columns that name a row, in the tables' own order."""
NAMED = ("arm", "than")
"""The columns that hold an arm."""
STAGES = {"transfer": "transfer", "descendants_transfer": "transfer", "operators": "grow"}
"""The stage whose runs a table measures; `target` for the others."""
EVERY_DEPTH = ("family_cost", "storage")
"""The tables whose rows count an arm's models of all depths."""
AGAINST_SCRATCH = ("saved", "speedup", "reached", "lead", "ratio")
"""What the name of a column holds where scratch is the reference."""


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One cell; `keys` are the runs that it measures, `behind` those and all that they start from."""

    table: str
    row: dict[str, str]
    column: str
    value: object
    seeds: dict[int, object]
    """The value of every seed alone."""
    keys: list[str]
    behind: list[Run]


def explain(records: Records, table: str, row: str, column: str) -> Cell:
    """Find a cell. `row` joins with `/` what names it: `mango`, `mango/mnist`, `tleg/4`.

    `column` is the CSV's, where `_mean` may be left out.

    Raises:
        UserError: no such table, row or column; the message lists those that there are.
    """
    found = _table(records, table)
    names = row_names(found.data)
    rows = {"/".join(str(line[name]) for name in names): line for line in found.data.to_dict("records")}
    line = rows[_one_of(rows, row, f"rows of {table} ({'/'.join(names)})")]
    columns = [str(name) for name in found.data.columns]
    column = f"{column}_mean" if f"{column}_mean" in columns else column
    _one_of(columns, column, f"columns of {table}")
    key = {name: str(line[name]) for name in names}
    seeds = {}
    for seed in records.params.seeds:
        alone = _table(one_seed(records, seed), table).data
        same = alone[(alone[names].astype(str) == pd.Series(key)).all(axis=1)]
        if len(same):
            seeds[seed] = same[column].iloc[0]
    keys = _measured(records.params, table, key, column, seeds)
    behind = _ancestry(runs(records.params), keys)
    return Cell(table=table, row=key, column=column, value=line[column], seeds=seeds, keys=keys, behind=behind)


def row_names(data: pd.DataFrame) -> list[str]:
    """The columns that name a row: those of `KEYS`, and from the left as many more as tell the rows apart."""
    names = [key for key in KEYS if key in data]
    for column in map(str, data.columns):
        if names and not data.duplicated(names).any():
            break
        if len(data[[*names, column]].drop_duplicates()) > (len(data[names].drop_duplicates()) if names else 1):
            names.append(column)
    return names


def _table(records: Records, name: str) -> Table:
    tables = {table.name: table for table in record_tables(records)}
    return tables[_one_of(tables, name, "tables")]


def _one_of(known: Iterable[str], name: str, what: str) -> str:
    known = list(known)
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.0)
        raise UserError(
            f"{name!r}: no such thing among the {what}; did you mean {near[0]!r}? There are: {', '.join(known)}"
        )
    return name


def _measured(params: Params, table: str, row: Mapping[str, str], column: str, seeds: Iterable[int]) -> list[str]:
    """The runs whose numbers the cell is made of: the row's, and scratch's where they are compared with it."""
    if "arm" not in row:
        raise UserError(f"{table}: its rows are no arms; explain a cell of the tables that it is made of")
    learngene = params.learngene
    ours = learngene is not None and (table in EVERY_DEPTH or "depth" in row)
    compared = any(word in column for word in AGAINST_SCRATCH)
    if learngene is not None and ours:
        depths = learngene.depths if row.get("depth", MEAN) == MEAN else (int(row["depth"]),)
        scratch = {descendant(learngene.scratch, depth) for depth in depths}
        arms = {descendant(row[name], depth) for depth in depths for name in NAMED if name in row}
    else:
        arms, scratch = {row[name] for name in NAMED if name in row}, {params.scratch}
    arms |= scratch if compared else set()
    sets = {row["data"]} if row.get("data", MEAN) != MEAN else set(params.transfer_data)
    stage, chosen = STAGES.get(table, "target"), set(seeds)
    names = {f"{arm}_{data}" for arm in arms for data in sets} if stage == "transfer" else arms
    return [
        key
        for key, run in runs(params).items()
        if run.stage == stage and run.config.seed in chosen and run.name.removesuffix(f"_s{run.config.seed}") in names
    ]


def _ancestry(study: Mapping[str, Run], keys: Iterable[str]) -> list[Run]:
    """The runs and all that they start from, parents first."""
    wanted, waiting = set(), list(keys)
    while waiting:
        key = waiting.pop()
        if key not in wanted:
            wanted.add(key)
            waiting += [parent] if (parent := study[key].config.init) else []
    return [run for key, run in study.items() if key in wanted]


def in_short(config: RunConfig) -> str:
    """What a run does, in one line."""
    if isinstance(config, TeacherConfig):
        return f"{config.model.name}; {_recipe(config.recipe) if config.recipe else config.model.pretrained}"
    if isinstance(config, GrowConfig):
        options = "".join(f", {name} {value}" for name, value in config.operator.options.items())
        rates = ", ".join(f"{lr:g}" for lr in config.fit.lr_candidates) if config.fit else ""
        fit = f"; fit {_recipe(config.fit.recipe)}, rates {rates}" if config.fit else ""
        return f"{config.operator.name}{options}: {_vit(config.source)} to {_vit(config.target)}{fit}"
    if isinstance(config, LearngeneConfig):
        return f"{config.kind} through {_vit(config.model)}; {_recipe(config.recipe)}"
    return f"{_vit(config.model)}; {_recipe(config.recipe)}"


def _vit(model: ModelConfig) -> str:
    return f"ViT {model.embed_dim} x {model.depth}"


def _recipe(recipe: Recipe) -> str:
    return f"{recipe.duration}, batch {recipe.batch_size}, lr {recipe.lr:g}"
