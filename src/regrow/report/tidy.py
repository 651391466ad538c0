"""The tidy truth: runs.csv, a row a run, and curves.csv, a row an evaluation, with every digit.

With the params file they decide every other table and figure but those of seconds; a test makes all of them from the
two files alone.
"""

from __future__ import annotations

import pandas as pd

from regrow.report.frames import Records
from regrow.report.saving import crossings

RUNS = (
    "stage",
    "run",
    "arm",
    "seed",
    "data",
    "init",
    "parameters",
    "steps",
    "examples",
    "flops",
    "selection_flops",
    "teacher_flops",
    "lr",
    "candidates",
    "operator_parameters",
    "before_loss",
    "before_accuracy",
    "minival_loss",
    "minival_accuracy",
    "test_metric",
    "test_accuracy",
    "test_loss",
    "test_images",
    "target_accuracy",
    "crossing_flops",
    "crossing_steps",
    "weights_sha256",
)
CURVES = ("stage", "run", "arm", "seed", "step", "flops", "minival_loss", "minival_accuracy")
COUNTS = ("test_images", "operator_parameters")
"""Whole numbers that some runs lack."""


def tidy_texts(records: Records) -> dict[str, str]:
    """`runs.csv` and `curves.csv`; a number is written with as many digits as give the same number when it is read."""
    frames = {"runs.csv": tidy_runs(records), "curves.csv": tidy_curves(records)}
    return {name: frame.to_csv(index=False, lineterminator="\n") for name, frame in frames.items()}


def tidy_runs(records: Records) -> pd.DataFrame:
    """Results only; `teacher_flops` where the tier has learngenes.

    `crossing_*` is filled for stage `target`, and `inf` where the target is never reached.
    """
    crossed = pd.concat(crossings(records, family) for family in records.families)
    crossed = crossed[["target_accuracy", "crossing_flops", "crossing_steps"]].reset_index()
    crossed["stage"] = "target"
    found = records.runs.merge(crossed, how="left", on=["stage", "arm", "seed"])
    if "candidates" in found:
        found["candidates"] = found["candidates"].map(_words, na_action="ignore")
    columns = [name for name in RUNS if name in found and (name != "teacher_flops" or records.params.learngene)]
    return found[columns].astype({name: "Int64" for name in COUNTS if name in found})


def tidy_curves(records: Records) -> pd.DataFrame:
    """Every evaluation on minival, without its time."""
    run = records.curves["key"].str.partition("/")[2]
    return records.curves.assign(run=run)[list(CURVES)]


def _words(rates: tuple[float, ...]) -> str:
    return " ".join(map(repr, rates))
