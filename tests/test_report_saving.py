"""The rule of what an arm saves, against curves worked out by hand; estimates and how they are written."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from regrow.report.estimate import estimate, number
from regrow.report.growth import saving_text, speedup
from regrow.report.saving import first_crossing, percent_saved, smooth
from regrow.report.table import Table, escape

COST = pd.Series([0, 100, 200, 300])


@pytest.mark.parametrize(
    ("accuracy", "target", "cost"),
    [
        ([10, 30, 50, 70], 40, 150),  # half of the way from 30 to 50
        ([10, 30, 50, 70], 45, 175),
        ([10, 30, 50, 70], 50, 200),  # exactly at an evaluation
        ([60, 30, 50, 70], 50, 0),  # step 0 counts
        ([10, 60, 20, 70], 50, 80),  # the first time, not the last: 100 * 40 / 50
        ([10, 30, 50, 70], 71, math.inf),  # never
    ],
)
def test_first_crossing(accuracy, target, cost):
    assert first_crossing(COST, pd.Series(accuracy), target) == pytest.approx(cost)


def test_smoothing_is_a_trailing_median_over_what_there_is():
    assert smooth(pd.Series([10.0, 20.0, 90.0, 30.0, 40.0]), 3).tolist() == [10, 15, 20, 30, 40]
    assert smooth(pd.Series([10.0, 90.0, 30.0]), 1).tolist() == [10, 90, 30]


def test_saving_in_percent():
    cost, scratch = pd.Series([50.0, 100.0, 125.0, math.inf, 0.0]), pd.Series([100.0] * 5)
    assert percent_saved(cost, scratch).tolist() == [50, 0, -25, -math.inf, 100]
    assert percent_saved(pd.Series([0.0, 1.0]), pd.Series([0.0, 0.0])).isna().all()


def test_speedup_is_one_over_what_is_left():
    assert speedup(75) == 4
    assert speedup(0) == 1
    assert speedup(-math.inf) == 0
    assert speedup(100) == math.inf


def test_estimate_is_student_t():
    found = estimate([1.0, 2.0, 3.0])
    assert (found.n, found.mean, found.sd) == (3, 2, 1)
    assert found.high - found.mean == pytest.approx(4.302653 / math.sqrt(3))  # t(0.975, 2) from a table
    assert found.mean - found.low == pytest.approx(found.high - found.mean)


def test_one_seed_has_no_interval_and_a_miss_no_spread():
    one, miss = estimate([5.0]), estimate([5.0, -math.inf])
    assert math.isnan(one.sd)
    assert math.isnan(one.low)
    assert miss.mean == -math.inf
    assert math.isnan(miss.sd)
    assert math.isnan(miss.low)
    assert saving_text(miss, 1) == "miss (1 of 2)"
    assert str(one) == "5.0"


@pytest.mark.parametrize(
    ("value", "text"), [(-1.25, "−1.2"), (-0.01, "0.0"), (math.inf, "∞"), (math.nan, "undefined"), (12.34, "12.3")]
)
def test_numbers_for_people(value, text):
    assert number(value) == text


def test_latex_has_booktabs_and_escapes():
    shown = pd.DataFrame({"Arm": ["A&B_1 {50%} #~^\\$"], "Saved\n(%)": ["−1.0 ± 0.2"]})
    text = Table(name="t", caption="100 % of “it”", data=shown, shown=shown).latex()
    assert r"A\&B\_1 \{50\%\} \#\textasciitilde{}\textasciicircum{}\textbackslash{}\$ & $-$1.0 $\pm$ 0.2 \\" in text
    assert text.count(r"\toprule") == text.count(r"\midrule") == text.count(r"\bottomrule") == 1
    assert r"\caption{100 \% of ``it''}" in text
    assert r"\begin{tabular}{@{}lr@{}}" in text
    assert text.isascii()
    assert escape("\\&") == r"\textbackslash{}\&"


def test_markdown_keeps_a_pipe_in_its_cell():
    shown = pd.DataFrame({"Arm": ["a|b"], "x\ny": ["1"]})
    assert r"| a\|b  |     1 |" in Table(name="t", caption="c", data=shown, shown=shown).markdown()
