"""`compare` on a small git repository."""

from __future__ import annotations

import subprocess

import pandas as pd
import pytest

from regrow.errors import UserError
from regrow.report import compare
from regrow.report.committed import differences

GROWTH = "arm,label,saved_mean,saved_low,saved_high\nscratch,Scratch,0,0,0\nmango,Mango,30,20,40\nnet,Net,-inf,,\n"
TRANSFER = "arm,data,acc_mean,acc_low,acc_high\nscratch,mnist,90,,\n"
RUNS = "stage,run,weights_sha256\ntarget,a_s0,aa\ntarget,b_s0,bb\n"


@pytest.fixture
def results(tmp_path):
    """A committed results folder."""
    tables = tmp_path / "results" / "mini" / "tables"
    tables.mkdir(parents=True)
    for name, text in (("growth", GROWTH), ("transfer", TRANSFER), ("runs", RUNS)):
        (tables / f"{name}.csv").write_text(text)
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
    for command in (["init", "-q"], ["add", "."], [*identity, "commit", "-q", "-m", "tables"]):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    return tables.parent


def test_identical_bits(results, capsys):
    compare(results, "HEAD")
    out = capsys.readouterr().out
    assert "4 numbers: 4 identical; weights: bit-identical (2 of 2 runs have the committed hash)" in " ".join(
        out.split()
    )


def test_verdicts(results, capsys):
    tables = results / "tables"
    (tables / "growth.csv").write_text(GROWTH.replace("Mango,30", "Mango,39.5").replace("-inf", "5"))
    (tables / "transfer.csv").write_text(TRANSFER.replace("90", "91"))
    (tables / "runs.csv").write_text(RUNS.replace("bb", "cc"))
    compare(results, "HEAD")
    out = " ".join(capsys.readouterr().out.split())
    assert "4 numbers: 1 identical, 1 within the interval, 2 outside" in out
    assert "bits differ (1 of 2" in out
    assert "30.000" in out
    assert "39.500" in out


def test_a_row_that_one_side_lacks():
    old, new = pd.DataFrame({"x_mean": [1.0]}, index=["a"]), pd.DataFrame({"x_mean": [2.0]}, index=["b"])
    assert [row[-1] for row in differences(old, new)] == ["not made", "not committed"]


def test_a_table_that_one_side_lacks(results, capsys):
    """A study with a learngene has tables that the committed one had not, and the other way round."""
    tables = results / "tables"
    (tables / "transfer.csv").unlink()
    (tables / "descendants.csv").write_text("arm,depth,acc_mean\ntleg,4,50\ntleg,6,60\n")
    compare(results, "HEAD")
    assert "6 numbers: 3 identical, 1 not made, 2 not committed" in " ".join(capsys.readouterr().out.split())


def test_errors_name_the_cure(results, tmp_path):
    with pytest.raises(UserError, match=r"growth\.csv: git has no such table at 'nope'.*--revision"):
        compare(results, "nope")
    (results / "tables" / "growth.csv").unlink()
    with pytest.raises(UserError, match=r"growth\.csv: no such table; `snakemake` makes it"):
        compare(results, "HEAD")
    with pytest.raises(UserError, match="no such folder"):
        compare(tmp_path / "elsewhere", "HEAD")
