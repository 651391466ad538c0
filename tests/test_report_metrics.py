"""results/<tier>/metrics.json: the tables' own numbers, and null for what is no number."""

from __future__ import annotations

import json
import math
from pathlib import Path

from regrow.report.frames import read
from regrow.report.metrics import metrics_json
from regrow.report.tables import record_tables
from synthetic_growth import PARAMS as GROWTH
from synthetic_growth import write_records as write_growth
from synthetic_learngene import PARAMS, write_records


def test_the_headline_numbers_of_every_table(tmp_path: Path) -> None:
    write_records(tmp_path)
    tables = {table.name: table.data for table in record_tables(read(PARAMS, tmp_path))}
    found = json.loads(metrics_json(record_tables(read(PARAMS, tmp_path))))
    growth = tables["growth"].set_index("arm")
    assert list(found) == ["descendants", "growth", "transfer"]
    assert found["growth"].keys() == set(growth.index)
    for arm, row in growth.iterrows():
        assert found["growth"][arm] == {
            name: float(f"{row[f'{name}_mean']:.10g}") if math.isfinite(row[f"{name}_mean"]) else None
            for name in ("test_accuracy", "flops_saved", "flops_saved_with_source")
        }
    descendants = tables["descendants"].set_index(["arm", "depth"])["test_accuracy_mean"]
    assert found["descendants"]["tleg"] == {f"d{depth}": descendants["tleg", depth] for depth in (2, 4)}


def test_transfer_is_the_mean_over_the_sets_and_a_miss_is_null(tmp_path: Path) -> None:
    write_growth(GROWTH, tmp_path, {"mango_s1": [10, 20, 30, 40, 50]})
    found = json.loads(metrics_json(record_tables(read(GROWTH, tmp_path))))
    assert found["growth"]["mango"]["flops_saved"] is None
    assert found["growth"]["scratch"]["flops_saved"] == 0
    assert found["transfer"]["mango"] == 85.5
    assert "descendants" not in found
