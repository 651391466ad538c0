"""The papers' arithmetic: our counts against their numbers and against independent formulas."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
import torch

from regrow.arithmetic import mango, storage, training
from regrow.arithmetic.claims import Claim, Reading
from regrow.arithmetic.counts import learngene, parameters, spelled, teacher_flops, vit
from regrow.arithmetic.tables import all_claims, claims_table, parameters_table
from regrow.cli import main
from regrow.models.vit import build

MILLIONS = {
    "Ti": "1.71 2.16 3.05 3.94 4.38 4.83 5.72 1.27",
    "S": "6.08 7.85 11.40 14.95 16.73 18.50 22.05 4.31",
    "B": "22.78 29.86 44.04 58.21 65.30 72.39 86.57 15.69",
}
"""By depth 3, 4, 6, 8, 9, 10, 12, and the auxiliary net."""


def value(claim: Claim, start: str) -> float:
    """Our number under the one reading that begins so."""
    (found,) = [reading.value for reading in claim.readings if reading.hypothesis.startswith(start)]
    return found


def test_the_parameter_table_is_the_published_one() -> None:
    shown = parameters_table().shown
    assert {row[0]: " ".join(row[1:]) for row in shown.itertuples(index=False)} == MILLIONS


@pytest.mark.parametrize(("family", "width"), [("Ti", 192), ("S", 384), ("B", 768)])
def test_counts_follow_the_closed_form(family: str, width: int) -> None:
    layer = 12 * width**2 + 13 * width
    rest = 3 * 16 * 16 * width + width + 196 * width + 2 * width
    assert parameters(vit(family, 6), head=False) == 6 * layer + rest
    assert parameters(vit(family, 6)) == 6 * layer + rest + 1000 * width + 1000
    assert learngene(family, head=False) == 2 * layer + rest


def test_models_are_built_without_memory() -> None:
    with torch.device("meta"):
        assert {tensor.device.type for tensor in build(vit("Ti", 3)).parameters()} == {"meta"}


def test_tlegs_storage_claims() -> None:
    several, fixed = storage.claims()
    assert several.readings[0].value == pytest.approx(19.25, abs=0.005)
    assert several.readings[0].hypothesis == (
        "B: a model of each depth 4, 6, 8, 10, 12 without head; the learngene without head"
    )
    assert several.readings[1].value == pytest.approx(18.55, abs=0.005)
    assert fixed.readings[0].value == pytest.approx(2.90, abs=0.005)
    assert fixed.readings[1].value == pytest.approx(2.81, abs=0.005)


def test_tlegs_training_claims() -> None:
    pretraining, whole = training.claims()
    assert pretraining.readings[0].value == 5
    assert value(pretraining, "B, epochs:") == 5
    assert value(pretraining, "S, epochs:") == pytest.approx(10 / 3)
    assert value(whole, "S, epochs:") == pytest.approx(1000 / (150 + 9 * 35 + 45))
    assert value(whole, "B, epochs:") == 2
    assert value(whole, "S, epochs x layers:") == pytest.approx(1.65, abs=0.005)
    assert value(whole, "B, epochs x layers:") == pytest.approx(1.79, abs=0.005)


def test_flops_weigh_about_as_layers_do_and_the_teacher_costs_more() -> None:
    _, whole = training.claims()
    for family in ("Ti", "S", "B"):
        weighed = value(whole, f"{family}, FLOPs:")
        assert weighed == pytest.approx(value(whole, f"{family}, epochs x layers:"), rel=0.01)
        assert value(whole, f"{family}, FLOPs with the teacher's:") < weighed


def test_the_teachers_flops_are_those_of_its_paper() -> None:
    """LeViT-384 is published with 2353 M multiply-adds (LeViT, ICCV 2021)."""
    assert teacher_flops() / 2 / 1e6 == pytest.approx(2353, rel=0.01)


def test_the_price_of_the_source_and_what_mangos_abstract_says_of_the_others() -> None:
    _, charged, bert2bert, ligo = mango.claims()
    assert charged.readings[0].value == pytest.approx(49.8, abs=0.05)
    assert "26.2 % of scratch's cost" in charged.readings[0].hypothesis
    assert bert2bert.readings[0].value == pytest.approx(64)
    assert ligo.readings[0].value == pytest.approx(55.3)
    assert not bert2bert.agrees(bert2bert.readings[0])
    assert ligo.agrees(ligo.readings[0])


def test_the_real_operator_has_the_parameters_of_the_formula() -> None:
    operator = mango.claims()[0]
    assert [reading.value for reading in operator.readings[:3]] == [590_112, 4 * 590_112, 147_744]
    assert operator.readings[3].value > operator.readings[0].value


def test_agreement_is_within_three_percent_on_either_side() -> None:
    readings = [Reading(hypothesis="", formula="", value=number) for number in (96.0, 98.0, 102.0, 104.0)]
    stated = Claim(stated_by="", claim="", stated=100, unit="x", readings=readings)
    derived = Claim(stated_by="", claim="", stated=None, unit="x", readings=readings)
    assert [stated.agrees(reading) for reading in readings] == [False, True, True, False]
    assert derived.agrees(readings[0]) is None


def test_depths_are_spelled_as_a_range_only_where_they_are_one() -> None:
    assert spelled((3, 4, 5)) == "3 to 5"
    assert spelled((3, 5, 6)) == "3, 5, 6"
    assert spelled((6,)) == "6"


def test_the_command_writes_every_reading(tmp_path: Path) -> None:
    assert main(["count", "--out", str(tmp_path)]) == 0
    forms = ("csv", "md", "html")
    assert {path.name for path in tmp_path.iterdir()} == {
        f"{table}.{form}" for table in ("parameters", "claims") for form in forms
    }
    written = pd.read_csv(tmp_path / "claims.csv")
    assert list(written["value"]) == pytest.approx([r.value for claim in all_claims() for r in claim.readings])
    assert len((tmp_path / "claims.md").read_text().splitlines()) == len(written) + 4
    assert claims_table().shown["Claim"].ne("").sum() == len(all_claims())
