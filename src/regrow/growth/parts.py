"""The parts of an operator's equation on a tiny pair of ViTs: what its picture shows.

Every term of its maps, the ring, and a step that follows; of what is no map, only what an operator's method is.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace

import torch

from regrow.config import ModelConfig, OperatorConfig
from regrow.errors import UserError
from regrow.expand import Maps
from regrow.growth.operator import Operator
from regrow.growth.panels import Panel, panels
from regrow.growth.registry import entry, operator, target_config
from regrow.models.axes import MATRICES, shapes
from regrow.models.vit import Tensors

SMALL = ModelConfig(embed_dim=8, depth=2, num_heads=2, mlp_ratio=2, patch_size=1)
LARGE = ModelConfig(embed_dim=12, depth=3, num_heads=3, mlp_ratio=2, patch_size=1)
DEEP = SMALL.model_copy(update={"depth": 7})
PAIRS = (
    (SMALL, LARGE),
    *((SMALL.model_copy(update={"depth": depth}), DEEP) for depth in (3, 2, 1)),
    (LARGE, SMALL),
    (LARGE, LARGE),
)
"""Sources and targets: an operator is drawn on the first pair that it takes."""

NOISE = {"lemon": 0.25}
"""Noise is left out of the pictures but for LEMON's, whose random split is its method; its own 0.02 would not show."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """A part of an operator's equation. `sides`: what the rows and the columns of its matrices are."""

    heading: str
    panels: list[Panel]
    sides: tuple[str, str] = ("new", "old")


def parts(name: str) -> tuple[str, list[Part]]:
    """The title of an operator's picture, and every part of its equation in the order in which it is applied."""
    chosen = operator(OperatorConfig(name=name))
    if "noise" in type(chosen).model_fields:
        chosen = chosen.model_copy(update={"noise": NOISE.get(name, 0.0)})
    source, target, cores = _cores(name, chosen)
    found = list(_applied(chosen.maps(cores)))
    if name == "lemon":
        found.append(_split(chosen, source, target))
    if name == "mimetic":
        found.append(_products(chosen, target))
    title = f"{name}: {_change('width', source.embed_dim, target.embed_dim)}, "
    title += _change("layers", source.depth, target.depth) + "; start of the learned maps" * entry(name).learned
    everything = Panel(title="every axis", matrix=torch.eye(target.embed_dim, source.embed_dim))
    return title, found or [Part(heading="", panels=[everything])]


def _change(what: str, old: int, new: int) -> str:
    return f"{what} {old}" if old == new else f"{what} {old} to {new}"


def _cores(name: str, chosen: Operator) -> tuple[ModelConfig, ModelConfig, Tensors]:
    """The first pair that the operator takes, and its cores there.

    Raises:
        UserError: it takes none of `PAIRS`.
    """
    for source, target in PAIRS:
        adapted = target_config(name, source, target)
        with suppress(UserError):
            return source, adapted, chosen.cores(source, adapted, _generator())
    raise UserError(f"operator {name} takes no pair of `regrow.growth.parts.PAIRS`; add one that it takes")


def _generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def _applied(maps: Maps) -> Iterator[Part]:
    """The ring, the terms, and what is applied after them."""
    first, *others = maps.terms
    heading = "First term" if others else "Step 1" if maps.then else ""
    if maps.ring is not None:
        cores = {f"S_{core}": getattr(maps.ring, core)[0, :, :, 0].T for core in "BOLI"}
        yield Part(heading="The ring's cores, for the block matrices of all layers", panels=panels(cores))
        heading = "Biases, LayerNorm, embeddings and head"
    if first:
        yield Part(heading=heading, panels=panels(first))
    for term in others:
        yield Part(heading="Second term, added", panels=panels(term))
    if maps.then:
        yield from (replace(part, heading="Step 2") for part in _applied(maps.then))


def _finished(chosen: Operator, source: ModelConfig, target: ModelConfig) -> Tensors:
    """What `finish` makes of block matrices that are zero, by the layer's name."""
    zeros = {name: torch.zeros(shapes(target)[name], dtype=torch.float64) for name in MATRICES}
    weights = chosen.finish(zeros, source, target, _generator())
    return {name.split(".")[-2]: weight for name, weight in weights.items()}


def _split(chosen: Operator, source: ModelConfig, target: ModelConfig) -> Part:
    """LEMON's Z - Z (G / C) G^T on the columns of each matrix."""
    heading = f"Added to the grown matrices: a random split, drawn with noise {NOISE['lemon']} to be seen"
    return Part(heading=heading, panels=panels(_finished(chosen, source, target)), sides=("out", "in"))


def _products(chosen: Operator, target: ModelConfig) -> Part:
    """What mimetic initialisation prescribes: products of two matrices."""
    made = _finished(chosen, target, target)
    query, key, value = made["qkv"][0]
    head = slice(target.head_dim)
    products = {"W_q^T W_k, head 1": query[head].T @ key[head], "W_proj W_v": made["proj"][0] @ value}
    drawn = [Panel(title=f"{title}, layer 1", matrix=product) for title, product in products.items()]
    return Part(heading="No map: fresh weights with these products", panels=drawn, sides=("out", "in"))
