"""How linear the weights of a ViT are in the layer's position, one kind of weight at a time.

With X [L, n] the layers of one kind, flattened and centred over the layers, p [L] the centred index of the layers at
unit length, and u_k, s_k the left singular vectors and the singular values of X:

    first_share  = s_1^2 / sum s_k^2                     the variance over the layers on the first principal component
    score_r2     = (p . u_1)^2                           R^2 of the linear fit of the first score on the index
    linear_share = sum s_k^2 (p . u_k)^2 / sum s_k^2     the variance that one line through all n weights explains

TLEG (AAAI 2024) shows the first scores of well-trained ViTs to be about linear. What its expansion
theta_B + (l - 1) / L theta_A can represent is `linear_share`; the first component may be a small part of the variance.

**Few layers flatter R^2.** If the layers stood in random order, score_r2 and linear_share would both be 1 / (L - 1) on
average; for layers drawn independently and normally, score_r2 is Beta(1/2, (L - 2) / 2), and at L = 4 one such draw in
twenty lies above 0.90.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta

from regrow.errors import UserError
from regrow.layers import FEWEST
from regrow.models.axes import AXES


@dataclass(frozen=True)
class Linearity:
    """One kind of weight. `scores` [L]: on the first component, falling or rising, turned so that they rise.

    All are NaN where the layers do not differ (biases of a fresh model).
    """

    weights: int
    """n, weights of this kind in a layer."""
    scores: NDArray[np.float64]
    first_share: float
    score_r2: float
    linear_share: float


def linearity(layers: NDArray[np.floating]) -> Linearity:
    """Of one kind of weight, [L, ...].

    Raises:
        UserError: fewer than three layers.
    """
    depth = len(layers)
    if depth < FEWEST:
        raise UserError(f"{depth} layers: two always lie on a line, so at least {FEWEST} are needed")
    flat = layers.reshape(depth, -1).astype(np.float64)
    centred = flat - flat.mean(0)
    gram = centred @ centred.T
    variance = float(np.trace(gram))
    if variance == 0:
        return Linearity(flat.shape[1], np.full(depth, np.nan), np.nan, np.nan, np.nan)
    index = np.arange(depth) - (depth - 1) / 2
    index /= np.linalg.norm(index)
    values, vectors = np.linalg.eigh(gram)
    first = vectors[:, -1]
    along = float(index @ first)
    return Linearity(
        weights=flat.shape[1],
        scores=np.copysign(1, along) * np.sqrt(values[-1]) * first,
        first_share=float(values[-1]) / variance,
        score_r2=along**2,
        linear_share=float(index @ gram @ index) / variance,
    )


def block_linearity(weights: Mapping[str, NDArray[np.floating]]) -> dict[str, Linearity]:
    """Of every parameter of the blocks, in timm's order and by timm's names; from stacked weights, [L, ...] each."""
    blocks = [name for name in AXES if name.startswith("blocks.") and name in weights]
    return {name.removeprefix("blocks."): linearity(weights[name]) for name in blocks}


def chance(depth: int) -> float:
    """The mean of score_r2 and of linear_share over all orders of the layers."""
    return 1 / (depth - 1)


def chance_95(depth: int) -> float:
    """What score_r2 exceeds once in twenty times for layers drawn independently, as a fresh model's are."""
    return float(beta.ppf(0.95, 0.5, (depth - 2) / 2))
