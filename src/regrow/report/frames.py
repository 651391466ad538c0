"""From the records on disk to tidy frames: the one place of the report that knows the records' layout."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from regrow.config import GrowConfig, Params
from regrow.errors import UserError
from regrow.plan.fact import record
from regrow.records import read_json, read_jsonl
from regrow.report.families import Family, depth_families, growth_family
from regrow.study import Run, runs
from regrow.study.part import finished

FILES = ("summary.json", "metrics.jsonl", "provenance.json")
NAMED = 6
"""How many runs an error names before it says how many more there are."""


@dataclass(frozen=True, kw_only=True)
class Whole:
    """The tier that records are a part of."""

    params: Params
    done: frozenset[str]
    """The keys of its runs that are done, in the part or not."""


@dataclass(frozen=True, kw_only=True)
class Records:
    """What the tables and figures read."""

    params: Params
    runs: pd.DataFrame
    """One row a run, results only. Index `<stage>/<run>`; accuracies in percent; for stage `grow`, `flops` is
    the kept fit's and `selection_flops` that of the fits that were tried and not kept; `teacher_flops` are the
    teacher's forward passes in a learngene's distillation; `init` is the key of the run that it
    starts from, or of its teacher; empty: none."""
    curves: pd.DataFrame
    """One row an evaluation: key, stage, arm, seed, step, flops, minival_accuracy (percent), and `seconds` of
    training until then (the only column here that depends on the machine)."""
    machines: pd.DataFrame
    """One row a run, what differs between machines. Index `<stage>/<run>`."""
    whole: Whole | None = None
    """Of what these are a part; None: nothing is missing."""

    @property
    def growth(self) -> Family:
        """The arms of the growth study."""
        return growth_family(self.params)

    @property
    def depths(self) -> dict[int, Family]:
        """The arms of every depth of the learngene's study."""
        return depth_families(self.params)

    @property
    def families(self) -> list[Family]:
        """All that are compared, the growth study first."""
        return [self.growth, *self.depths.values()]

    def of(self, stage: str) -> pd.DataFrame:
        """The runs of one stage, indexed by (arm, seed); for `transfer` by (arm, seed, data)."""
        index = ["arm", "seed", "data"] if stage == "transfer" else ["arm", "seed"]
        return self.runs[self.runs["stage"] == stage].set_index(index)


def read(params: Params, results: Path, *, partial: bool = False) -> Records:
    """Read the records of every run of the tier; with `partial`, of the part of it that is done (`regrow.study.part`).

    Raises:
        UserError: a run has no records, or records made with another config; with `partial`, too few have any.
    """
    if partial:
        return _read_part(params, results)
    expected = runs(params)
    missing = [key for key in expected if not _has_files(results, key)]
    if missing:
        raise _incomplete(f"of {len(expected)} runs have no complete records in {results / 'records'}", missing)
    summaries = {key: read_json(_folder(results, key) / "summary.json") for key in expected}
    stale = [key for key, run in expected.items() if not run.made(summaries[key])]
    if stale:
        raise _incomplete(f"of {len(expected)} runs have records of another config than the params file's", stale)
    rows, curves, machines = [], [], []
    for key, run in expected.items():
        path = _folder(results, key)
        rows.append(_checked(path / "summary.json", _result, run, summaries[key]))
        made = read_json(path / "provenance.json")
        machines.append(_checked(path / "provenance.json", _machine, run, made))
        curves.extend(_curve(path, run, read_jsonl(path / "metrics.jsonl"), made["clock"]))
    index = pd.Index(list(expected), name="key")
    return Records(
        params=params,
        runs=pd.DataFrame(rows, index=index),
        curves=pd.DataFrame(curves),
        machines=pd.DataFrame(machines, index=index),
    )


def _read_part(params: Params, results: Path) -> Records:
    expected = runs(params)
    done = {key for key, run in expected.items() if _has_files(results, key) and record(results, run)}
    if len(done) == len(expected):
        return read(params, results)
    part = finished(params, done)
    if part is None:
        raise UserError(
            f"{results / 'records'}: {len(done)} of {len(expected)} runs are done; a report needs target/"
            f"{params.scratch}_s{params.seeds[0]} and another target of that seed; `snakemake` makes them"
        )
    return replace(read(part, results), whole=Whole(params=params, done=frozenset(done)))


def over_seeds(frame: pd.DataFrame, arm: str, column: str) -> pd.Series:
    """One column of one arm, indexed by seed, of a frame indexed by (arm, seed)."""
    return frame[column].xs(arm, level="arm")


def _has_files(results: Path, key: str) -> bool:
    return all((_folder(results, key) / name).exists() for name in FILES)


def _folder(results: Path, key: str) -> Path:
    return results / "records" / key


def _incomplete(what: str, keys: list[str]) -> UserError:
    more = f" and {len(keys) - NAMED} more" if len(keys) > NAMED else ""
    return UserError(f"{len(keys)} {what}: {', '.join(keys[:NAMED])}{more}; `snakemake` makes them")


def _checked(path: Path, row: Any, run: Run, content: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return dict(row(run, content))
    except KeyError as error:
        raise UserError(f"{path}: no {error}; an older version wrote it, delete it and run `snakemake`") from error


def _name(run: Run) -> dict[str, Any]:
    """What every row begins with. A transfer run's data is its key in the params file, which is in its name:
    names have no underscore, so `<arm>_<data>_s<seed>` has one reading."""
    data = run.name.split("_")[1] if run.stage == "transfer" else run.config.data.name
    return {"stage": run.stage, "run": run.name, "arm": run.arm, "seed": run.config.seed, "data": data}


def _result(run: Run, summary: Mapping[str, Any]) -> dict[str, Any]:
    row = _name(run) | {
        "parameters": summary["parameters"],
        "init": run.config.init or "",
        "steps": summary["steps"],
        "flops": summary["flops"],
        "selection_flops": summary.get("selection_flops", 0),
        "teacher_flops": summary["teacher_flops"] if run.stage == "learngene" else 0,
        "minival_loss": summary["minival_loss"],
        "minival_accuracy": summary["minival_accuracy"],
    }
    if isinstance(run.config, GrowConfig):
        before = summary["before"]
        row |= {"before_loss": before["minival_loss"], "before_accuracy": before["minival_accuracy"]}
        if run.config.fit:
            row |= {name: summary[name] for name in ("lr", "operator_parameters")}
            row["candidates"] = tuple(candidate["lr"] for candidate in summary["candidates"])
        row["examples"] = sum(candidate["examples"] for candidate in summary.get("candidates", ()))
    else:
        row["examples"] = summary["examples"]
        row |= {name: summary[name] for name in ("test_metric", "test_accuracy", "test_loss", "test_images")}
    return row | {"weights_sha256": summary["weights_sha256"]}


def _machine(run: Run, made: Mapping[str, Any]) -> dict[str, Any]:
    return _name(run) | {
        "seconds": made["seconds"],
        "device": made["device"],
        "threads": made["threads"],
        "resumes": made["resumes"],
        "machine": made["machine"],
        "python": made["python"],
        "torch": made["versions"]["torch"],
        "commit": made["commit"] or "",
        "dirty": made["dirty"],
        "package_sha256": made["package_sha256"],
    }


def _curve(path: Path, run: Run, metrics: list[dict[str, Any]], clock: list[float]) -> list[dict[str, Any]]:
    if len(metrics) != len(clock):
        raise UserError(
            f"{path}: metrics.jsonl has {len(metrics)} lines and provenance.json a clock of {len(clock)}; "
            "they are of two runs, delete the folder and run `snakemake`"
        )
    names = ("step", "flops", "minival_loss", "minival_accuracy")
    head = {"key": run.key, "stage": run.stage, "arm": run.arm, "seed": run.config.seed}
    return [
        head | {name: line[name] for name in names} | {"seconds": seconds}
        for line, seconds in zip(metrics, clock, strict=True)
    ]
