"""TLEG's claims on training cost (AAAI 2024, abstract): about 5x less pre-training, about 2x less in all.

The epochs are those of TLEG's public code; the 100 of a model trained from scratch are from the same group's next
paper. The teacher's own training is charged to nobody.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from regrow.arithmetic.claims import Claim, Reading
from regrow.arithmetic.counts import AUXILIARY_DEPTH, spelled, teacher_flops, vit
from regrow.arithmetic.storage import EVEN
from regrow.models.flops import train_flops

SCRATCH = 100
AUXILIARY = {"Ti": 150, "S": 150, "B": 100}
DESCENDANTS = {
    "Ti": dict.fromkeys((3, 6, 9, 12), 50),
    "S": {**dict.fromkeys(range(3, 12), 35), 12: 45},
    "B": dict.fromkeys(range(3, 13), 40),
}
"""Epochs: of a model from scratch, of each auxiliary net, of each descendant by depth. One depth of S has 45; that it
is the deepest is our reading."""

Unit = Literal["epochs", "epochs x layers", "FLOPs", "FLOPs with the teacher's"]
UNITS: tuple[Unit, ...] = ("epochs", "epochs x layers", "FLOPs", "FLOPs with the teacher's")
"""What an epoch of a model weighs: one; its depth; its FLOPs; for the auxiliary net the teacher's forward pass too."""


def claims() -> list[Claim]:
    """Both claims on training cost."""
    runs = Reading(
        hypothesis=f"a pre-training for each depth {spelled(EVEN)} against one, the auxiliary net's",
        formula=f"{len(EVEN)} / 1",
        value=float(len(EVEN)),
    )
    pretraining = [runs, *(ratio(unit, family, EVEN, {}) for family in ("B", "S") for unit in UNITS)]
    whole = [
        ratio(unit, family, tuple(DESCENDANTS[family]), DESCENDANTS[family])
        for unit in UNITS
        for family in ("S", "B", "Ti")
    ]
    return [
        Claim(stated_by="TLEG", claim="pre-training cost of several depths", stated=5, unit="x", readings=pretraining),
        Claim(stated_by="TLEG", claim="training cost of several depths", stated=2, unit="x", readings=whole),
    ]


def ratio(unit: Unit, family: str, depths: tuple[int, ...], descendants: Mapping[int, int]) -> Reading:
    """Every depth from scratch over the auxiliary net and its `descendants` (epochs by depth; none: it alone)."""
    scratch = sum(SCRATCH * weight(unit, family, depth) for depth in depths)
    auxiliary = AUXILIARY[family] * weight(unit, family, AUXILIARY_DEPTH, taught=True)
    inherited = sum(epochs * weight(unit, family, depth) for depth, epochs in descendants.items())
    below = f"({auxiliary:,.0f} + {inherited:,.0f})" if descendants else f"{auxiliary:,.0f}"
    whom = "the auxiliary net and its descendants" if descendants else "the auxiliary net"
    measure = " epochs x GFLOPs of an image" if unit.startswith("FLOPs") else ""
    return Reading(
        hypothesis=f"{family}, {unit}: depths {spelled(depths)} from scratch against {whom}",
        formula=f"{scratch:,.0f} / {below}{measure}",
        value=scratch / (auxiliary + inherited),
    )


def weight(unit: Unit, family: str, depth: int, *, taught: bool = False) -> float:
    """What an epoch of a model weighs; FLOPs are GFLOPs of one image, forward and backward."""
    if unit == "epochs":
        return 1
    if unit == "epochs x layers":
        return depth
    teacher = teacher_flops() if taught and unit == "FLOPs with the teacher's" else 0
    return (train_flops(vit(family, depth)) + teacher) / 1e9
