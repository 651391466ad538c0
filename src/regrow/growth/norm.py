"""LayerNorm on a stream whose new channels repeat the old ones k times and fill the rest with their mean.

The mean stays, the variance becomes c = k D1 / D2 times the old one (LEMON, Wang et al., ICLR 2024): with eps scaled
by c and the gain by sqrt(c) the output is the old one on the copies and the bias on the rest. Imports no torch.
"""

from __future__ import annotations

from regrow.config import ModelConfig


def variance_scale(source: ModelConfig, target: ModelConfig) -> float:
    """c = k D1 / D2 with k the number of whole copies that fit: 1 at an integer ratio."""
    return target.embed_dim // source.embed_dim * source.embed_dim / target.embed_dim


def with_scaled_eps(source: ModelConfig, target: ModelConfig) -> ModelConfig:
    """The target that computes the source's function: its norm_eps is the source's times c."""
    return target.model_copy(update={"norm_eps": source.norm_eps * variance_scale(source, target)})


def as_given(source: ModelConfig, target: ModelConfig) -> ModelConfig:
    """What every other operator grows into: the target as it stands."""
    return target
