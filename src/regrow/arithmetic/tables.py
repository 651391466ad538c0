"""The two tables of `regrow count`: parameters by family and depth, and the claims with all their readings."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from regrow.arithmetic import mango, storage, training
from regrow.arithmetic.claims import TOLERANCE, Claim
from regrow.arithmetic.counts import DEPTHS, HEADS, learngene, parameters, vit
from regrow.report.table import Table

AGREES = {None: "–", True: "yes", False: "no"}


def write_tables(folder: Path) -> list[Path]:
    """Write parameters.{csv,md,html} and claims.{csv,md,html}."""
    tables = (parameters_table(), claims_table())
    return [path for table in tables for path in table.write(folder, forms=("csv", "md", "html"))]


def parameters_table() -> Table:
    """One row a model: of each family every depth, then the auxiliary net."""
    models = [
        (family, str(depth), *(parameters(vit(family, depth), head=head) for head in (True, False)))
        for family in HEADS
        for depth in DEPTHS
    ]
    learngenes = [(family, "auxiliary", learngene(family), learngene(family, head=False)) for family in HEADS]
    data = pd.DataFrame([*models, *learngenes], columns=["family", "depth", "parameters", "without_head"])
    millions = data.pivot(index="family", columns="depth", values="parameters").loc[list(HEADS)] / 1e6
    shown = millions[[*map(str, DEPTHS), "auxiliary"]].map("{:.2f}".format).reset_index(names="Family")
    caption = (
        "Millions of parameters of timm's VisionTransformer by depth: 224 px, patch 16, 1000 classes with their head, "
        "no class token. An auxiliary net, of any depth, is the learngene: two layers, and the rest once."
    )
    return Table(name="parameters", caption=caption, data=data, shown=shown)


def all_claims() -> list[Claim]:
    """TLEG's, then Mango's."""
    return [*storage.claims(), *training.claims(), *mango.claims()]


def claims_table() -> Table:
    """One row a reading."""
    data, shown = [], []
    for claim in all_claims():
        for reading in claim.readings:
            data.append(
                {
                    "claim": claim.claim,
                    "stated_by": claim.stated_by,
                    "stated": claim.stated,
                    "value": reading.value,
                    "unit": claim.unit,
                    "agrees": claim.agrees(reading),
                    "hypothesis": reading.hypothesis,
                    "formula": reading.formula,
                }
            )
            shown.append(
                {
                    "Claim": claim.claim if reading is claim.readings[0] else "",
                    "Stated": _stated(claim) if reading is claim.readings[0] else "",
                    "Ours": _number(reading.value, claim.unit),
                    "Agrees": AGREES[claim.agrees(reading)],
                    "If this is counted": reading.hypothesis,
                    "Formula": reading.formula,
                }
            )
    caption = (
        "The papers' arithmetic, each claim under every reading that can be computed; the first is ours. No paper says "
        f"what it counted, so each is a hypothesis. “Agrees”: within {100 * TOLERANCE:.0f} % of what is stated. "
        "FLOPs are of matmuls, a training step three forward passes; the teacher is charged its forward passes, never "
        "its training; models are timm's, counted and not trained."
    )
    return Table(name="claims", caption=caption, data=pd.DataFrame(data), shown=pd.DataFrame(shown))


def _stated(claim: Claim) -> str:
    return "–" if claim.stated is None else f"{_number(claim.stated, claim.unit, digits='g')} ({claim.stated_by})"


def _number(value: float, unit: str, digits: str = ".2f") -> str:
    return f"{value:,.0f}" if unit == "parameters" else f"{value:{digits}}" + {"x": "×", "%": " %"}[unit]
