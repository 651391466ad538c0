"""Mango's numbers (NeurIPS 2023): the operator's size, the source's price, and what the abstract says of the others.

All for DeiT with a class token at 224 px. The abstract states 76 % of the FLOPs saved on DeiT-B grown from DeiT-S, 12.0
points more than bert2BERT and 20.7 more than LiGO; LiGO's paper (ICLR 2023, table 2) measured both on the same task.
"""

from __future__ import annotations

import torch

from regrow.arithmetic.claims import Claim, Reading
from regrow.arithmetic.counts import parameters, vit
from regrow.growth.mango import Mango
from regrow.models.flops import forward_flops

SAVED = 76.0
LEAD = {"bert2BERT": 12.0, "LiGO": 20.7}
LIGO_TABLE = {"bert2BERT": 40.8, "LiGO": 55.4}
"""In percent of scratch's FLOPs: Mango's saving, its lead on each method, and the savings in LiGO's table 2."""
SMALLER = {"S": "Ti", "B": "S"}


def claims() -> list[Claim]:
    """The operator, the source, and the two baselines."""
    operator = [core_parameters("B"), core_parameters("B", rank=2), core_parameters("S"), all_parameters("B")]
    return [
        Claim(stated_by="Mango", claim="parameters of the operator", stated=None, unit="parameters", readings=operator),
        Claim(
            stated_by="Mango",
            claim="FLOPs saved by Mango, DeiT-S to DeiT-B",
            stated=SAVED,
            unit="%",
            readings=charged(),
        ),
        *(
            Claim(
                stated_by="LiGO",
                claim=f"FLOPs saved by {method}, DeiT-S to DeiT-B",
                stated=LIGO_TABLE[method],
                unit="%",
                readings=implied(method, lead),
            )
            for method, lead in LEAD.items()
        ),
    ]


def cores(family: str, rank: int) -> dict[str, int]:
    """The size of each tensor of the real operator that grows into `family`'s DeiT, at one rank all around the ring."""
    source, target = (vit(name, 12, class_token=True) for name in (SMALLER[family], family))
    tensors = Mango(ranks=(rank,) * 4).cores(source, target, torch.Generator().manual_seed(0))
    return {name: tensor.numel() for name, tensor in tensors.items()}


def core_parameters(family: str, rank: int = 1) -> Reading:
    """The four cores of the ring."""
    source, target = vit(SMALLER[family], 12), vit(family, 12)
    blocks = 4 + 2 * int(target.mlp_ratio)
    return Reading(
        hypothesis=f"{SMALLER[family]} to {family}, the four cores S_B, S_O, S_L, S_I at rank {rank}",
        formula=f"R² (B² + 2·D1·D2 + L1·L2) = {rank}² ({blocks}² + 2·{source.embed_dim}·{target.embed_dim} + 12²)",
        value=float(sum(size for name, size in cores(family, rank).items() if name.startswith("ring."))),
    )


def all_parameters(family: str) -> Reading:
    """The cores, and our own choice for what the paper leaves open."""
    return Reading(
        hypothesis=f"{SMALLER[family]} to {family}, the cores at rank 1, and our matrices for what the ring leaves out",
        formula="cores + one matrix an axis for biases, LayerNorm, embeddings and head",
        value=float(sum(cores(family, 1).values())),
    )


def charged() -> list[Reading]:
    """76 % less the source's price, as a share of scratch's."""
    source, target = (vit(family, 12, class_token=True) for family in ("S", "B"))
    prices = {
        "FLOPs": (forward_flops(source) / 1e9, forward_flops(target) / 1e9, "G"),
        "parameters": (parameters(source) / 1e6, parameters(target) / 1e6, "M"),
    }
    return [
        Reading(
            hypothesis=f"the source charged, trained for as many epochs as scratch (300), by {what}: "
            f"{100 * small / large:.1f} % of scratch's cost",
            formula=f"76 % - {small:.2f} {unit} / {large:.2f} {unit}",
            value=SAVED - 100 * small / large,
        )
        for what, (small, large, unit) in prices.items()
    ]


def implied(method: str, lead: float) -> list[Reading]:
    """A baseline's saving, from Mango's own and its lead."""
    return [
        Reading(
            hypothesis="by Mango's abstract, its lead in points of the saving",
            formula=f"{SAVED:g} % - {lead:g} %",
            value=SAVED - lead,
        ),
        Reading(
            hypothesis="by Mango's abstract, its lead as a share of the saving",
            formula=f"{SAVED:g} % / {1 + lead / 100:g}",
            value=SAVED / (1 + lead / 100),
        ),
    ]
