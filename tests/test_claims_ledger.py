"""The ledger params/claims.yaml: what it says, and what it refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from claims_ledger import ARITHMETIC, FILE, LEDGER
from regrow.arithmetic.mango import LEAD, LIGO_TABLE, SAVED
from regrow.errors import UserError
from regrow.report.claims import load_ledger


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
