"""Net2Net (Chen et al., ICLR 2016) for ViTs: Net2Wider's random copies in width, then Net2Deeper's identity layers.

width: W2 = G_out W1 (G_in / C_in)^T, g drawn at random for the new channels, neurons and heads
depth: a new layer copies a neighbour and writes zero to the residual stream, so that it is the identity
"""

from __future__ import annotations

import torch

from regrow.config import ModelConfig
from regrow.growth.depth import identity_layers
from regrow.growth.fpi import Copies, Fpi, fpi
from regrow.models.vit import Tensors


class Net2Net(Fpi):
    """Exact in depth, and in the MLP and the heads for any copies; in the stream only at equal copies (LayerNorm)."""

    copies: Copies = "random"

    def cores(self, source: ModelConfig, target: ModelConfig, generator: torch.Generator) -> Tensors:
        return {**fpi(self.copies, source, target, generator), **identity_layers(self.depth, source, target)}
