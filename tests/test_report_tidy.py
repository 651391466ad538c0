"""The tidy CSVs are the truth: from the two files and the params file alone come all tables and figures again."""

from __future__ import annotations

import io
import math

import pandas as pd
import pytest

from regrow.config import Params
from regrow.report.frames import Records, read
from regrow.report.style import UNDATED, styled
from regrow.report.tables import record_tables
from regrow.report.tidy import CURVES, RUNS, tidy_texts
from regrow.report.write import drawn
from synthetic_learngene import PARAMS, write_records

UNEVEN = {"mango_s1": [0.1 + 0.2, 100 / 3, 60, 80.00000000000001, 82], "scratch_s0": [10, 40, 60, 70, 79.3]}
"""Digits that ten would not hold."""

WORKED_OUT = ["target_accuracy", "crossing_flops", "crossing_steps"]


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> Records:
    folder = tmp_path_factory.mktemp("tidy")
    write_records(folder, UNEVEN)
    return read(PARAMS, folder)


def from_csv(params: Params, texts: dict[str, str]) -> Records:
    """The frames of the report from the CSV files; what belongs to the machine is unknown."""
    found = {name: pd.read_csv(io.StringIO(text)) for name, text in texts.items()}
    runs, curves = found["runs.csv"].drop(columns=WORKED_OUT), found["curves.csv"]
    runs.index = pd.Index(runs["stage"] + "/" + runs["run"], name="key")
    runs["init"] = runs["init"].fillna("")
    runs["candidates"] = runs["candidates"].map(rates, na_action="ignore")
    curves["key"] = curves["stage"] + "/" + curves["run"]
    machines = runs[["stage", "run", "arm", "seed"]].assign(seconds=math.nan)
    return Records(params=params, runs=runs, curves=curves.assign(seconds=math.nan), machines=machines)


def rates(words: str) -> tuple[float, ...]:
    return tuple(map(float, words.split()))


def test_every_table_and_figure_comes_from_the_two_files(records: Records) -> None:
    again = from_csv(PARAMS, tidy_texts(records))
    tables = {table.name: table.texts() for table in record_tables(records)}
    assert {table.name: table.texts() for table in record_tables(again)} == tables
    assert len(tables) == 11
    with styled():
        for name, draw in drawn(PARAMS).items():
            pictures = []
            for each in (records, again):
                buffer = io.BytesIO()
                draw(each).savefig(buffer, format="svg", metadata=UNDATED["svg"])
                pictures.append(buffer.getvalue())
            assert pictures[0] == pictures[1], name


def test_no_column_is_left_out_but_time(records: Records) -> None:
    assert set(records.runs.columns) <= set(RUNS)
    assert set(records.curves.columns) - {"key", "seconds"} <= set(CURVES)
    texts = tidy_texts(records)
    assert tidy_texts(from_csv(PARAMS, texts)) == texts


def test_it_is_written_to_the_last_digit(records: Records) -> None:
    accuracies = from_csv(PARAMS, tidy_texts(records)).curves["minival_accuracy"].tolist()
    assert accuracies == records.curves["minival_accuracy"].tolist()
    assert 0.1 + 0.2 in accuracies
