"""Advanced knowledge initialisation (bert2BERT, Chen et al., ACL 2022).

A new head or MLP neuron is not a copy from its own layer but from the layer above:

    W2[l][j] = W1[l][g(j)]    for j among the first D1 rows    (the layer's own)
    W2[l][j] = W1[l + 1][g(j)] for the rows j that are new      (the next layer's), input columns as in FPI

for the rows of q, k, v and fc1 and their biases. All else, and the last layer, is FPI. As two terms of `expand`:
FPI, plus (next layer - own layer) on the new rows.
"""

from __future__ import annotations

import torch
from torch import Tensor

from regrow.config import ModelConfig
from regrow.expand import Maps
from regrow.growth.depth import needs_copies
from regrow.growth.fpi import Fpi
from regrow.models.vit import Tensors

BORROWING = {"heads": "blocks.attn.qkv", "mlp": "blocks.mlp.fc1"}
"""The axes whose new rows come from the next layer, and the layer that has them."""


class Aki(Fpi):
    """bert2BERT's AKI in width, then stacking or interpolation in depth.

    Never function-preserving. It sets new heads and neurons apart from the old; the copied channels of the residual
    stream still get identical gradients, so the noise stays.
    """

    def cores(self, source: ModelConfig, target: ModelConfig, generator: torch.Generator) -> Tensors:
        needs_copies(self.depth, "AKI borrows from the next layer, which its entries do not have")
        matrices = super().cores(source, target, generator)
        correction = matrices["depth"] @ next_layer(source.depth)
        sizes = {"heads": source.embed_dim, "mlp": source.mlp_dim}
        for axis, layer in BORROWING.items():
            matrices[f"new/{axis}"] = new_rows(matrices[axis], sizes[axis])
            matrices[f"new/embed.in@{layer}.weight"] = matrices["embed.in"]
            matrices[f"new/depth@{layer}.weight"] = matrices[f"new/depth@{layer}.bias"] = correction
        return matrices

    def maps(self, cores: Tensors) -> Maps:
        stay = {axis: core for axis, core in cores.items() if not axis.startswith("new/")}
        new = {axis.removeprefix("new/"): core for axis, core in cores.items() if axis.startswith("new/")}
        return Maps(terms=(stay, new))


def next_layer(depth: int) -> Tensor:
    """[L, L]: layer l + 1 minus layer l; the last layer has no next and stays as it is."""
    change = torch.diag(torch.ones(depth - 1, dtype=torch.float64), 1) - torch.eye(depth, dtype=torch.float64)
    change[-1] = 0
    return change


def new_rows(written: Tensor, small: int) -> Tensor:
    """The map G [large, small] without its first `small` rows: what is written to the new places."""
    kept = written.clone()
    kept[:small] = 0
    return kept
