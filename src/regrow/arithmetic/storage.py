"""TLEG's claims on parameters stored (AAAI 2024, abstract): about 19x and about 2.9x fewer."""

from __future__ import annotations

from collections.abc import Iterable

from regrow.arithmetic.claims import Claim, Reading
from regrow.arithmetic.counts import learngene, parameters, spelled, vit

EVEN = (4, 6, 8, 10, 12)
BASE = 6
"""The depth of the one fixed set of parameters that TLEG compares a learngene with, by our reading."""


def claims() -> list[Claim]:
    """Both claims on storage."""
    several = [
        ratio("B", EVEN),
        ratio("B", EVEN, head=True),
        ratio("B", EVEN, head=True, learngene_head=False),
        ratio("B", range(3, 13)),
        ratio("S", EVEN),
        ratio("S", range(3, 13)),
        ratio("Ti", EVEN),
        ratio("Ti", (3, 6, 9, 12)),
    ]
    fixed = [
        ratio("B", [BASE]),
        ratio("B", [BASE], head=True),
        ratio("B", [4]),
        ratio("B", [8]),
        ratio("S", [BASE]),
        ratio("Ti", [BASE]),
    ]
    return [
        Claim(stated_by="TLEG", claim="parameters stored for several depths", stated=19, unit="x", readings=several),
        Claim(stated_by="TLEG", claim="one fixed set of parameters stored", stated=2.9, unit="x", readings=fixed),
    ]


def ratio(family: str, depths: Iterable[int], *, head: bool = False, learngene_head: bool | None = None) -> Reading:
    """The parameters of a model for each depth over those of one learngene; its head counts as theirs by default."""
    depths, gene_head = tuple(depths), head if learngene_head is None else learngene_head
    models = sum(parameters(vit(family, depth), head=head) for depth in depths)
    gene = learngene(family, head=gene_head)
    stored = f"a model of each depth {spelled(depths)}" if len(depths) > 1 else f"one {depths[0]}-layer model"
    return Reading(
        hypothesis=f"{family}: {stored} {_with(head)}; the learngene {_with(gene_head)}",
        formula=f"{models / 1e6:.2f} M / {gene / 1e6:.2f} M",
        value=models / gene,
    )


def _with(head: bool) -> str:
    return "with head" if head else "without head"
