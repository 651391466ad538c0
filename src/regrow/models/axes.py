"""The axis table: for every ViT parameter which of its axes grow, and with whose map.

Blocks are stacked, so `blocks.3.mlp.fc1.weight` of timm is entry 3 of `blocks.mlp.fc1.weight`, and depth is an
axis like any other. An axis is named by what runs along it and by its role there:

    embed       the residual stream where it is written (rows of proj and fc2, patch, position, class token)
    embed.gain  LayerNorm's weight on the stream        embed.shift  LayerNorm's bias
    embed.in    the stream where it is read (columns of qkv, fc1, head)
    heads       rows of q, k and v (heads x head_dim)   heads.in     columns of attn.proj
    mlp         rows of fc1                             mlp.in       columns of fc2
    depth       the layers
    ""          never grows: channels, pixels, tokens, q/k/v, classes

Legend of shapes: L layers, D embed_dim, A heads x head_dim (= D in a trained ViT), F mlp_dim, N tokens,
P patch_size, C channels, K classes.
"""

from __future__ import annotations

from regrow.config import ModelConfig

_BLOCK_AXES = {
    "norm1.weight": ("depth", "embed.gain"),
    "norm1.bias": ("depth", "embed.shift"),
    "attn.qkv.weight": ("depth", "", "heads", "embed.in"),
    "attn.qkv.bias": ("depth", "", "heads"),
    "attn.proj.weight": ("depth", "embed", "heads.in"),
    "attn.proj.bias": ("depth", "embed"),
    "norm2.weight": ("depth", "embed.gain"),
    "norm2.bias": ("depth", "embed.shift"),
    "mlp.fc1.weight": ("depth", "mlp", "embed.in"),
    "mlp.fc1.bias": ("depth", "mlp"),
    "mlp.fc2.weight": ("depth", "embed", "mlp.in"),
    "mlp.fc2.bias": ("depth", "embed"),
}

AXES: dict[str, tuple[str, ...]] = {
    "cls_token": ("", "", "embed"),
    "pos_embed": ("", "", "embed"),
    "patch_embed.proj.weight": ("embed", "", "", ""),
    "patch_embed.proj.bias": ("embed",),
    **{f"blocks.{name}": axes for name, axes in _BLOCK_AXES.items()},
    "norm.weight": ("embed.gain",),
    "norm.bias": ("embed.shift",),
    "head.weight": ("", "embed.in"),
    "head.bias": ("",),
}
"""Parameter name (blocks stacked) -> the name of each of its axes."""

MATRICES = tuple(
    f"blocks.{name}" for name in ("attn.qkv.weight", "attn.proj.weight", "mlp.fc1.weight", "mlp.fc2.weight")
)
"""The six matrices of the papers (q, k and v are one parameter)."""


def shapes(config: ModelConfig) -> dict[str, tuple[int, ...]]:
    """The shape of every stacked parameter of a ViT."""
    depth, embed, mlp = config.depth, config.embed_dim, config.mlp_dim
    patch, classes = config.patch_size, config.num_classes
    found = {
        "cls_token": (1, 1, embed),
        "pos_embed": (1, config.num_tokens, embed),
        "patch_embed.proj.weight": (embed, config.in_chans, patch, patch),
        "patch_embed.proj.bias": (embed,),
        "blocks.norm1.weight": (depth, embed),
        "blocks.norm1.bias": (depth, embed),
        "blocks.attn.qkv.weight": (depth, 3, embed, embed),
        "blocks.attn.qkv.bias": (depth, 3, embed),
        "blocks.attn.proj.weight": (depth, embed, embed),
        "blocks.attn.proj.bias": (depth, embed),
        "blocks.norm2.weight": (depth, embed),
        "blocks.norm2.bias": (depth, embed),
        "blocks.mlp.fc1.weight": (depth, mlp, embed),
        "blocks.mlp.fc1.bias": (depth, mlp),
        "blocks.mlp.fc2.weight": (depth, embed, mlp),
        "blocks.mlp.fc2.bias": (depth, embed),
        "norm.weight": (embed,),
        "norm.bias": (embed,),
        "head.weight": (classes, embed),
        "head.bias": (classes,),
    }
    if not config.class_token:
        del found["cls_token"]
    return found


def axis_sizes(config: ModelConfig) -> dict[str, int]:
    """The length of every axis that can grow."""
    embed, mlp = config.embed_dim, config.mlp_dim
    stream = dict.fromkeys(("embed", "embed.gain", "embed.shift", "embed.in", "heads", "heads.in"), embed)
    return {**stream, "mlp": mlp, "mlp.in": mlp, "depth": config.depth}


def decays(name: str) -> bool:
    """Whether weight decay applies, by timm's rule: matrices and the patch kernel, no bias, norm or embedding."""
    return name.endswith(".weight") and "norm" not in name
