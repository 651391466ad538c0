"""The headline numbers as one small JSON file, for `dvc metrics` and `dvc exp show`.

    {"growth": {"mango": {"test_accuracy": 16.7, "flops_saved": 50.9, ...}}, "transfer": {"mango": ...}, ...}

Means over the seeds, in percent, as in the tables; null where a seed missed the target or the number is not defined.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from typing import Any

from regrow.report.table import Table

GROWTH = ("test_accuracy", "flops_saved", "flops_saved_with_source")


def metrics_json(tables: Iterable[Table]) -> str:
    """The file's text."""
    return json.dumps(headline(tables), indent=1, sort_keys=True, allow_nan=False) + "\n"


def headline(tables: Iterable[Table]) -> dict[str, Any]:
    """Growth's accuracy and savings, the mean accuracy in transfer, and the accuracy of every depth."""
    data = {table.name: table.data for table in tables}
    found: dict[str, Any] = {"growth": {}}
    for _, row in data["growth"].iterrows():
        found["growth"][row["arm"]] = {column: _number(row[f"{column}_mean"]) for column in GROWTH}
    if "transfer" in data:
        over_sets = data["transfer"][data["transfer"]["data"] == "mean"]
        found["transfer"] = {row["arm"]: _number(row["test_accuracy_mean"]) for _, row in over_sets.iterrows()}
    if "descendants" in data:
        found["descendants"] = {}
        for _, row in data["descendants"].iterrows():
            by_depth = found["descendants"].setdefault(row["arm"], {})
            by_depth[f"d{row['depth']}"] = _number(row["test_accuracy_mean"])
    return found


def _number(value: float) -> float | None:
    """Ten significant digits, as in the CSV files."""
    return float(f"{value:.10g}") if math.isfinite(value) else None
