"""Parameters and FLOPs at the papers' scale, of real timm models on the meta device: no memory, no weights.

Everything here is at 224 px, patch 16 and 1000 classes.
"""

from __future__ import annotations

from functools import cache

import timm
import torch
from torch.utils.flop_counter import FlopCounterMode

from regrow.config import ModelConfig
from regrow.models.vit import build

HEADS = {"Ti": 3, "S": 6, "B": 12}
"""DeiT's families; a head has 64 channels."""
DEPTHS = (3, 4, 6, 8, 9, 10, 12)
"""The depths of TLEG's parameter table."""
AUXILIARY_DEPTH = 12
BASIS = 2
"""Layers of a learngene: theta_A and theta_B."""
TEACHER = "levit_384"


def vit(family: str, depth: int, *, class_token: bool = False) -> ModelConfig:
    """A ViT of DeiT's width; TLEG's have no class token."""
    heads = HEADS[family]
    return ModelConfig(
        embed_dim=64 * heads,
        depth=depth,
        num_heads=heads,
        patch_size=16,
        img_size=224,
        num_classes=1000,
        class_token=class_token,
    )


@cache
def parameters(config: ModelConfig, *, head: bool = True) -> int:
    """What timm builds, counted; `head` tells whether the classifier counts."""
    with torch.device("meta"):
        model = build(config)
    named = model.named_parameters()
    return sum(parameter.numel() for name, parameter in named if head or not name.startswith("head."))


def spelled(depths: tuple[int, ...]) -> str:
    """Depths in words: "3 to 12", or "4, 6, 8"."""
    whole = len(depths) > 2 and depths == tuple(range(depths[0], depths[-1] + 1))
    return f"{depths[0]} to {depths[-1]}" if whole else ", ".join(map(str, depths))


def learngene(family: str, *, head: bool = True) -> int:
    """Parameters of an auxiliary net, of any depth: the two layers of the basis, and the rest once."""
    return parameters(vit(family, BASIS), head=head)


@cache
def teacher_flops() -> int:
    """Matmul FLOPs of one image's forward pass through TLEG's teacher, LeViT-384."""
    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        timm.create_model(TEACHER).eval()(torch.zeros(1, 3, 224, 224))
    return int(counter.get_total_flops())
