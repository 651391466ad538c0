"""The ledger of claims and its verdicts, on synthetic records, against rules and numbers worked out by hand."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from conftest import ROOT
from regrow.arithmetic.mango import LEAD, LIGO_TABLE, SAVED
from regrow.config import Params
from regrow.errors import UserError
from regrow.report import write_report
from regrow.report.claims import claims_markdown, claims_table, claims_words, load_ledger
from regrow.report.claims.ledger import Claim, Ledger
from regrow.report.claims.quantities import QUANTITIES
from regrow.report.claims.verdict import Verdict, judge, papers_setting, settle
from regrow.report.estimate import Estimate
from regrow.report.frames import Records, read
from regrow.report.table import Table
from test_report import ARMS as GROWTH_ARMS
from test_report import PARAMS as GROWTH
from test_report import write_records as write_growth
from test_report_learngene import PARAMS, write_records

FILE, ARITHMETIC = ROOT / "params/claims.yaml", ROOT / "results/arithmetic/claims.csv"
LEDGER = load_ledger(FILE, ARITHMETIC)
SOURCE = PARAMS.source_data.model_copy(update={"name": "imagenet-1k"})
RIVALS = {
    name: {"label": name.upper(), "operator": {"name": "stackbert"}, "source": "small"}
    for name in ("bert2bert-fpi", "bert2bert-aki", "ligo")
}
WITH_RIVALS = Params.model_validate(GROWTH.model_dump() | {"arms": GROWTH_ARMS | RIVALS})
NEVER = [10.0, 20, 30, 40, 50]
"""A curve that does not reach scratch's end."""


@pytest.fixture(scope="module")
def records(tmp_path_factory) -> Records:
    folder = tmp_path_factory.mktemp("claims")
    write_records(folder)
    return read(PARAMS, folder)


@pytest.fixture(scope="module")
def on_imagenet(records) -> Records:
    """The same records, said to be of ImageNet."""
    return dataclasses.replace(records, params=PARAMS.model_copy(update={"source_data": SOURCE}))


@pytest.fixture(scope="module")
def growth_only(tmp_path_factory) -> Records:
    folder = tmp_path_factory.mktemp("growth")
    write_growth(GROWTH, folder)
    return read(GROWTH, folder)


@pytest.fixture(scope="module")
def one_seed(tmp_path_factory) -> Records:
    params, folder = GROWTH.model_copy(update={"seeds": (0,)}), tmp_path_factory.mktemp("seed")
    write_growth(params, folder)
    return read(params, folder)


def rivals(folder: Path, **curves: list[float]) -> pd.DataFrame:
    """The claims of a growth tier with rivals: a row a claim."""
    write_growth(WITH_RIVALS, folder, curves)
    return rows(claims_table(read(WITH_RIVALS, folder), LEDGER))


def rows(table: Table) -> pd.DataFrame:
    return table.data.set_index("claim")


def claim(**changes: Any) -> Claim:
    """A claim of about 10 points, more than 0."""
    stated = {"paper": "P", "place": "abstract", "known_from": "abstract", "statement": "S", "unit": "points"}
    stated |= {
        "value": 10,
        "tolerance": 1,
        "scope": "training",
        "quantity": "flops_saved",
        "arm": "mango",
        "against": 0,
    }
    return Claim.model_validate(stated | changes)


@pytest.mark.parametrize("tier", ["records", "growth_only", "on_imagenet", "one_seed"])
def test_every_claim_has_exactly_one_verdict_on_every_tier(tier, request):
    found: Records = request.getfixturevalue(tier)
    table = claims_table(found, LEDGER)
    data = rows(table)
    assert list(data.index) == list(LEDGER.claims)
    assert set(data["verdict"]) <= {"reproduced", "direction only", "not reproduced", "not testable at this tier"}
    assert (data["why"] != "").all()
    words = claims_words(table)
    counts = {verdict: int((data["verdict"] == verdict).sum()) for verdict in Verdict}
    assert words.startswith(f"{len(LEDGER.claims)} claims, one verdict each: {counts['reproduced']} reproduced; ")
    assert sum(counts.values()) == len(LEDGER.claims)
    exact = data[data["scope"] == "exact arithmetic"]
    assert set(exact["verdict"]) <= {"reproduced", "not reproduced"}
    assert len(exact) == 4
    if tier != "on_imagenet":
        assert "reproduced" not in set(data[data["scope"] != "exact arithmetic"]["verdict"])
        assert set(data[data["scope"] == "ImageNet"]["verdict"]) == {"not testable at this tier"}
    if tier == "one_seed":
        assert data.loc["mango-saved", ["verdict", "why", "mean"]].tolist() == [
            "not testable at this tier",
            "one seed has no interval",
            62.5,
        ]


def test_a_growth_tier_by_hand(growth_only):
    data = rows(claims_table(growth_only, LEDGER))
    mango = data.loc["mango-saved"]
    assert mango[["mean", "low", "high", "n", "verdict"]].tolist() == [62.5, 62.5, 62.5, 2, "direction only"]
    assert mango["why"] == "the interval lies above 0; not the paper's setting"
    assert mango["runs"] == "target/mango_s0 target/mango_s1 target/scratch_s0 target/scratch_s1"
    assert mango["command"] == "snakemake --cores all results/tiny/claims.csv --config params=params/tiny.yaml"
    why = data["why"].to_dict()
    assert why["ligo-ki-flops"] == "the tier has no arm `ki` for it"
    assert why["mango-over-ligo"].startswith("the tier has no arm `ligo`, `ligo-untied`")
    assert why["tleg-stored"] == "the tier runs nothing of the kind"
    assert why["ligo-ligo-top1"] == "needs ImageNet"
    untold = data[data["verdict"] == "not testable at this tier"]
    assert untold["mean"].isna().all()
    assert (untold["runs"] == "").all()


def test_a_tier_with_learngenes_by_hand(records):
    data = rows(claims_table(records, LEDGER))
    assert data["mean"][data.index.str.startswith("tleg")].dropna().to_dict() == pytest.approx(
        {
            "tleg-training-counted": 1000 / 510,
            "tleg-training": 15_000 / 9_000,  # scratch's 2.5 x 6000 over the auxiliary net's 3000 and 6000
            "tleg-accuracy": -5,
            "tleg-inat-2019": 10,
            "tleg-cifar-100": 10,
            "tleg-stored-counted": 19.25328185,
            "tleg-stored": 2.5,  # two models, 1000 parameters, over a learngene of 400
            "tleg-pretraining-counted": 5,
            "tleg-pretraining": 2,  # 1000 FLOPs a layer for two models of 2 and 4 layers, over 3000
            "tleg-fixed-counted": 2.90043758,
        }
    )
    verdicts = data["verdict"].to_dict()
    assert verdicts["tleg-training"] == verdicts["tleg-stored"] == verdicts["tleg-inat-2019"] == "direction only"
    assert verdicts["tleg-accuracy"] == "not reproduced"
    assert data.loc["tleg-accuracy", "why"] == "no part of the interval lies above −1"
    assert verdicts["tleg-fixed"] == "not testable at this tier"
    assert verdicts["tleg-training-counted"] == "reproduced"
    assert data.loc["tleg-inat-2019", "over"] in ("scratch", "mimetic")
    assert data.loc["tleg-training", "runs"].split()[:6] == [
        "learngene/tleg_s0",
        "learngene/tleg_s1",
        "grow/tleg-d2_s0",
        "grow/tleg-d2_s1",
        "grow/tleg-d4_s0",
        "grow/tleg-d4_s1",
    ]
    assert "grow/scratch-long-d2_s0" not in data.loc["tleg-training", "runs"]
    assert set(data.loc["tleg-pretraining", "runs"].split()) == {
        f"{run}_s{seed}" for run in ("learngene/tleg", "pretrain/each-d2", "pretrain/each-d4") for seed in (0, 1)
    }


def test_every_run_that_is_named_exists(records):
    named = {run for text in rows(claims_table(records, LEDGER))["runs"] for run in text.split()}
    assert named
    assert named <= set(records.runs.index)
    for name, quantity in QUANTITIES.items():
        for arm in quantity.arms(records.params):
            assert set(quantity.runs(records, arm, None)) & set(records.runs.index), (name, arm)


def test_in_the_papers_setting_numbers_count(on_imagenet):
    data = rows(claims_table(on_imagenet, LEDGER))
    assert data.loc["mango-saved", ["verdict", "why"]].tolist() == [
        "direction only",
        "the interval lies above 0; the mean is off by more than the tolerance",
    ]
    assert data.loc["ligo-stackbert-top1", ["mean", "verdict"]].tolist() == [50.5, "not reproduced"]
    assert data.loc["ligo-stackbert-wall", ["mean", "verdict"]].tolist() == [50, "direction only"]
    near = claim(value=61, quantity="flops_saved", tolerance=2)
    assert settle(near, LEDGER, on_imagenet).verdict == "reproduced"
    assert settle(claim(value=61, tolerance=1), LEDGER, on_imagenet).verdict == "direction only"


def test_a_transfer_is_the_papers_on_its_own_set_only(records, on_imagenet):
    asked = {"scope": "training", "quantity": "descendants_transfer_accuracy", "arm": "tleg", "over": ["mimetic"]}
    mnist, cifar = (claim(**asked, data=name) for name in ("mnist", "cifar-100"))
    assert papers_setting(mnist, on_imagenet.params)
    assert not papers_setting(cifar, on_imagenet.params)
    assert not papers_setting(mnist, records.params)
    assert settle(mnist, LEDGER, on_imagenet).verdict == "reproduced"
    assert settle(cifar, LEDGER, on_imagenet).verdict == "direction only"
    assert settle(mnist, LEDGER, on_imagenet).found.runs[0] == "transfer/tleg-d4_few_s0"
    assert len(settle(mnist, LEDGER, on_imagenet).found.runs) == 4  # two arms, two seeds, one set of the two


def test_an_arm_is_held_to_the_best_of_the_others(tmp_path):
    better = [10.0, 60, 80, 84, 86]
    data = rivals(tmp_path, **{"bert2bert-fpi": [10.0, 40, 60, 80, 84], "bert2bert-aki": better, "ligo": NEVER})
    found = data.loc["mango-over-bert2bert"]
    assert found[["over", "mean", "verdict"]].tolist() == ["bert2bert-aki", 12.5, "direction only"]
    assert "target/bert2bert-aki_s0" in found["runs"]
    assert "fpi" not in found["runs"]


def test_of_costs_the_best_other_is_the_cheapest(records):
    quantity = {"quantity": "family_flops", "arm": "tleg", "unit": "x", "against": 1}
    found = settle(claim(**quantity, over=["scratch-long", "scratch"]), LEDGER, records).found
    assert (found.over, found.value.mean) == ("scratch", pytest.approx(6000 / 9000))


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


def test_arithmetic_is_settled_by_the_first_reading(growth_only):
    readings = pd.DataFrame({"value": [9.0, 30.0, 10.5], "hypothesis": ["ours", "b", "c"]}, index=["size"] * 3)
    ledger = Ledger(claims={}, readings=readings)
    counted = {"scope": "exact arithmetic", "quantity": "size", "unit": "x", "arm": None, "against": None}
    given = {
        key: value for key, value in (claim().model_dump() | counted).items() if value is not None and key != "over"
    }
    settled = settle(Claim.model_validate(given), ledger, growth_only)
    assert (settled.verdict, settled.why) == ("reproduced", "2 of 3 readings agree; ours: ours")
    settled = settle(Claim.model_validate(given | {"value": 30}), ledger, growth_only)
    assert (settled.verdict, settled.why) == ("not reproduced", "1 of 3 readings agree; ours: ours")


def test_the_ledger_says_what_the_arithmetic_says():
    for name, stated in LEDGER.claims.items():
        if stated.scope == "exact arithmetic":
            assert set(LEDGER.readings.loc[[stated.quantity], "stated"]) == {stated.value}, name
    values = {name: stated.value for name, stated in LEDGER.claims.items()}
    assert values["mango-saved"] == SAVED
    assert {"bert2BERT": values["mango-over-bert2bert"], "LiGO": values["mango-over-ligo"]} == LEAD
    assert {"bert2BERT": values["ligo-bert2bert-flops"], "LiGO": values["ligo-ligo-flops"]} == LIGO_TABLE


def test_no_claim_is_lost_by_a_repeated_key():
    lines = [line for line in FILE.read_text().splitlines() if line.startswith("  ") and line[2] not in " #"]
    assert [line.strip(" :") for line in lines] == list(LEDGER.claims)


def test_the_statements_have_their_values():
    for name, stated in LEDGER.claims.items():
        if stated.sense == "about":
            assert f"{abs(stated.value):g}" in stated.statement or f"{stated.value:.2f}" in stated.statement, name


def test_the_files(records, tmp_path):
    table = claims_table(records, LEDGER)
    text = claims_markdown(table)
    assert "- mango-saved: `target/mango_s{0,1}`, `target/scratch_s{0,1}`; `snakemake --cores all" in text
    assert "- tleg-stored-counted: no runs; `regrow count --out results/arithmetic`" in text
    row = table.shown.iloc[list(LEDGER.claims).index("tleg-training")]
    assert row[["Stated", "Here", "95 % interval", "n"]].tolist() == ["2×", "1.67×", "1.67 to 1.67", "2"]
    measured = "Scratch, long / TLEG: training FLOPs, the teacher not counted, of having every depth (2, 4)"
    assert row["What is measured here"] == measured
    at_least = table.shown.iloc[list(LEDGER.claims).index("tleg-accuracy")]
    assert at_least[["Stated", "Here"]].tolist() == ["at least 0 points", "−5.0 points"]
    write_records(tmp_path)
    write_report(PARAMS, tmp_path, FILE, ARITHMETIC)
    assert (tmp_path / "claims.md").read_text() == text
    assert pd.read_csv(tmp_path / "claims.csv")["verdict"].tolist() == table.data["verdict"].tolist()
    report = (tmp_path / "REPORT.md").read_text()
    assert f"## Claims\n\n{claims_words(table)}\n\n{table.markdown().strip()}\n\n## What did not work" in report


def edited(tmp_path: Path, name: str = "mango-saved", **changes: Any) -> Path:
    """The shipped ledger with one claim changed; None takes a key away."""
    raw = yaml.safe_load(FILE.read_text())
    changed = raw["claims"][name] | changes
    raw["claims"][name] = {key: value for key, value in changed.items() if value is not None}
    path = tmp_path / "claims.yaml"
    path.write_text(yaml.safe_dump(raw))
    return path


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tolerence": 3}, r"claims\.yaml: claims\.mango-saved\.tolerence: unknown key; did you mean 'tolerance'"),
        (
            {"quantity": "flop_saved"},
            r"claims\.yaml: claims\.mango-saved: quantity: 'flop_saved' .* 'flops_saved'\? \(va",
        ),
        ({"scope": "exact"}, r"claims\.mango-saved\.scope: .*'exact arithmetic', 'training' or 'ImageNet'"),
        ({"arm": None}, r"claims\.mango-saved: arm: which"),
        ({"against": None}, r"claims\.mango-saved: against: a claim on training"),
        ({"against": 76}, r"claims\.mango-saved: against: "),
        ({"unit": "x"}, r"claims\.mango-saved: unit: flops_saved is no number in 'x'"),
        ({"name": "tleg-stored", "unit": "%"}, r"claims\.tleg-stored: unit: stored_parameters is no number in '%'"),
        ({"name": "tleg-stored", "over": None}, r"claims\.tleg-stored: unit: .* needs `over`"),
        ({"name": "tleg-stored-counted", "arm": "tleg"}, r"claims\.tleg-stored-counted: arm: a claim of exact"),
        (
            {"name": "tleg-stored-counted", "quantity": "fixed set of parameters stored"},
            r"yaml: claims\.tleg-stored-counted\.quantity: .* has no 'fixed set .*; did you mean 'one fixed set",
        ),
    ],
)
def test_a_wrong_entry_is_refused(tmp_path, changes, message):
    with pytest.raises(UserError, match=message):
        load_ledger(edited(tmp_path, **changes), ARITHMETIC)


def test_missing_files_name_the_cure(tmp_path):
    with pytest.raises(UserError, match=r"none\.yaml: no such ledger of claims; name it with --claims"):
        load_ledger(tmp_path / "none.yaml", ARITHMETIC)
    with pytest.raises(UserError, match=r"claims\.csv: no such table; `regrow count --out .*` makes it"):
        load_ledger(FILE, tmp_path / "claims.csv")
    (tmp_path / "bad.yaml").write_text("claims: [1,")
    with pytest.raises(UserError, match=r"bad\.yaml: not valid YAML"):
        load_ledger(tmp_path / "bad.yaml", ARITHMETIC)
