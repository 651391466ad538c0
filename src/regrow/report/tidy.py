"""runs.csv: the tidy truth, one row a run. Every other table can be made again from it and the curves."""

from __future__ import annotations

import pandas as pd

from regrow.report.frames import Records
from regrow.report.saving import crossings

COLUMNS = (
    "stage",
    "run",
    "arm",
    "seed",
    "data",
    "parameters",
    "steps",
    "flops",
    "selection_flops",
    "teacher_flops",
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


def tidy_runs(records: Records) -> pd.DataFrame:
    """Results only; `teacher_flops` where the tier has learngenes.

    `crossing_*` is filled for stage `target`, and `inf` where the target is never reached.
    """
    crossed = pd.concat(crossings(records, family) for family in records.families)
    crossed = crossed[["target_accuracy", "crossing_flops", "crossing_steps"]].reset_index()
    crossed["stage"] = "target"
    found = records.runs.merge(crossed, how="left", on=["stage", "arm", "seed"])
    columns = [name for name in COLUMNS if name != "teacher_flops" or records.params.learngene]
    return found[columns].astype({"test_images": "Int64"})
