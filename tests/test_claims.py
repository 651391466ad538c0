"""The ledger of claims and its verdicts, on synthetic records, against rules and numbers worked out by hand."""

from __future__ import annotations

import dataclasses

import pandas as pd
import pytest

from claims_ledger import ARITHMETIC, FILE, LEDGER, claim, rows
from regrow.report import write_report
from regrow.report.claims import claims_markdown, claims_table, claims_words
from regrow.report.claims.ledger import Claim, Ledger
from regrow.report.claims.quantities import QUANTITIES
from regrow.report.claims.verdict import Verdict, papers_setting, settle
from regrow.report.frames import Records, read
from synthetic_growth import PARAMS as GROWTH
from synthetic_growth import write_records as write_growth
from synthetic_learngene import PARAMS, write_records

SOURCE = PARAMS.source_data.model_copy(update={"name": "imagenet-1k"})


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


def test_of_costs_the_best_other_is_the_cheapest(records):
    quantity = {"quantity": "family_flops", "arm": "tleg", "unit": "x", "against": 1}
    found = settle(claim(**quantity, over=["scratch-long", "scratch"]), LEDGER, records).found
    assert (found.over, found.value.mean) == ("scratch", pytest.approx(6000 / 9000))


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
