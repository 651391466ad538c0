"""From a number to a verdict: the rules, and arms that are held to others or miss."""

from __future__ import annotations

import math
from pathlib import Path

import pandas as pd
import pytest

from claims_ledger import LEDGER, claim, rows
from regrow.config import Params
from regrow.report.claims import claims_table
from regrow.report.claims.verdict import judge
from regrow.report.estimate import Estimate
from regrow.report.frames import read
from synthetic_growth import ARMS as GROWTH_ARMS
from synthetic_growth import PARAMS as GROWTH
from synthetic_growth import write_records as write_growth

RIVALS = {
    name: {"label": name.upper(), "operator": {"name": "stackbert"}, "source": "small"}
    for name in ("bert2bert-fpi", "bert2bert-aki", "ligo")
}
WITH_RIVALS = Params.model_validate(GROWTH.model_dump() | {"arms": GROWTH_ARMS | RIVALS})
NEVER = [10.0, 20, 30, 40, 50]
"""A curve that does not reach scratch's end."""


def rivals(folder: Path, **curves: list[float]) -> pd.DataFrame:
    """The claims of a growth tier with rivals: a row a claim."""
    write_growth(WITH_RIVALS, folder, curves)
    return rows(claims_table(read(WITH_RIVALS, folder), LEDGER))


def test_an_arm_is_held_to_the_best_of_the_others(tmp_path):
    better = [10.0, 60, 80, 84, 86]
    data = rivals(tmp_path, **{"bert2bert-fpi": [10.0, 40, 60, 80, 84], "bert2bert-aki": better, "ligo": NEVER})
    found = data.loc["mango-over-bert2bert"]
    assert found[["over", "mean", "verdict"]].tolist() == ["bert2bert-aki", 12.5, "direction only"]
    assert "target/bert2bert-aki_s0" in found["runs"]
    assert "fpi" not in found["runs"]


def test_misses(tmp_path):
    data = rivals(tmp_path / "a", ligo=NEVER, **{"bert2bert-aki_s1": NEVER})
    assert data.loc["ligo-ligo-flops", ["mean", "high", "verdict"]].tolist() == [-math.inf, -math.inf, "not reproduced"]
    assert data.loc["mango-over-ligo", ["mean", "verdict"]].tolist() == [math.inf, "direction only"]
    some = data.loc["ligo-bert2bert-flops"]
    assert some["verdict"] == "not testable at this tier"
    assert some["why"].startswith("not every seed has a finite number")
    both = rivals(tmp_path / "b", ligo=NEVER, mango=NEVER).loc["mango-over-ligo"]
    assert math.isnan(both["mean"])
    assert both["verdict"] == "not testable at this tier"
    odd = rivals(tmp_path / "c", ligo_s0=NEVER, mango_s1=NEVER).loc["mango-over-ligo"]
    assert odd["verdict"] == "not testable at this tier"


def estimated(low: float, high: float, n: int = 3) -> Estimate:
    return Estimate(n=n, mean=(low + high) / 2, sd=1.0, low=low, high=high, boot_low=low, boot_high=high)


@pytest.mark.parametrize(
    ("low", "high", "changes", "here", "papers"),
    [
        (9.5, 10.5, {}, "direction only", "reproduced"),
        (8.8, 9.0, {}, "direction only", "direction only"),
        (10.9, 11.1, {}, "direction only", "reproduced"),
        (11.0, 11.4, {}, "direction only", "direction only"),
        (-8.0, 28.0, {}, "not testable at this tier", "reproduced"),
        (-1.0, 5.0, {}, "not testable at this tier", "not testable at this tier"),
        (-5.0, -1.0, {}, "not reproduced", "not reproduced"),
        (-5.0, 0.0, {}, "not reproduced", "not reproduced"),
        (0.0, 5.0, {}, "not testable at this tier", "not testable at this tier"),
        (-12.0, -10.0, {"value": -11}, "direction only", "reproduced"),
        (-5.0, -4.0, {"value": -11}, "direction only", "direction only"),
        (4.0, 5.0, {"value": -11}, "not reproduced", "not reproduced"),
        (-4.0, 5.0, {"value": -11}, "not testable at this tier", "not testable at this tier"),
        (20.0, 30.0, {"sense": "at least"}, "direction only", "reproduced"),
        (8.0, 9.8, {"sense": "at least"}, "direction only", "direction only"),
        (-0.9, 0.5, {"value": 0, "against": -1, "sense": "at least"}, "direction only", "reproduced"),
        (-3.0, -1.5, {"value": 0, "against": -1, "sense": "at least"}, "not reproduced", "not reproduced"),
        (9.5, 10.5, {"against": None, "scope": "ImageNet"}, "not reproduced", "reproduced"),
        (8.0, 8.5, {"against": None, "scope": "ImageNet"}, "not reproduced", "not reproduced"),
        (math.nan, math.nan, {}, "not testable at this tier", "not testable at this tier"),
    ],
)
def test_the_rules(low, high, changes, here, papers):
    stated, found = claim(**changes), estimated(low, high)
    assert judge(stated, found, papers=False)[0] == here
    assert judge(stated, found, papers=True)[0] == papers
    assert judge(stated, estimated(low, high, n=1), papers=True)[0] == "not testable at this tier"
