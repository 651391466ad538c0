"""The shipped ledger of claims, and claims made up for a test."""

from __future__ import annotations

from typing import Any

import pandas as pd

from conftest import ROOT
from regrow.report.claims import load_ledger
from regrow.report.claims.ledger import Claim
from regrow.report.table import Table

FILE, ARITHMETIC = ROOT / "params/claims.yaml", ROOT / "results/arithmetic/claims.csv"
LEDGER = load_ledger(FILE, ARITHMETIC)


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
