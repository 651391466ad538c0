"""timm's VisionTransformer from a config, and its state dict with the blocks stacked.

Shapes: see the legend of `regrow.models.axes`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial

import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from regrow.config import ModelConfig
from regrow.errors import UserError
from regrow.models.axes import AXES, shapes

Tensors = dict[str, Tensor]

_BLOCK = re.compile(r"^blocks\.(\d+)\.(.+)$")
_STACKED = frozenset(name for name in AXES if name.startswith("blocks."))
_QKV = ("blocks.attn.qkv.weight", "blocks.attn.qkv.bias")


def build(config: ModelConfig, *, seed: int | None = None, drop_path: float = 0.0) -> VisionTransformer:
    """A timm ViT. With a seed its fresh weights depend on that seed alone; the global generator is left as it was.

    Without a class token the tokens are averaged after the final norm (norm -> mean -> head).
    """
    with torch.random.fork_rng(devices=[]):
        if seed is not None:
            torch.manual_seed(seed)
        return VisionTransformer(
            img_size=config.img_size,
            patch_size=config.patch_size,
            in_chans=config.in_chans,
            num_classes=config.num_classes,
            embed_dim=config.embed_dim,
            depth=config.depth,
            num_heads=config.num_heads,
            mlp_ratio=config.mlp_ratio,
            class_token=config.class_token,
            global_pool="token" if config.class_token else "avg",
            fc_norm=False,
            drop_path_rate=drop_path,
            norm_layer=partial(nn.LayerNorm, eps=config.norm_eps),
        )


def stack(state: Mapping[str, Tensor]) -> Tensors:
    """timm's names -> stacked names; qkv rows are cut into q, k and v: [L, 3, A, D].

    Raises:
        UserError: a name that a plain ViT does not have, or blocks that are not 0..L-1.
    """
    blocks: dict[str, dict[int, Tensor]] = {}
    stacked: Tensors = {}
    for name, tensor in state.items():
        if match := _BLOCK.match(name):
            blocks.setdefault(f"blocks.{match[2]}", {})[int(match[1])] = tensor
        else:
            stacked[name] = tensor
    for name, layers in blocks.items():
        if sorted(layers) != list(range(len(layers))):
            raise UserError(f"{name}: expected blocks 0..{max(layers)}, got {sorted(layers)}; is the checkpoint whole?")
        stacked[name] = torch.stack([layers[index] for index in range(len(layers))])
    if unknown := sorted(set(stacked) - set(AXES)):
        raise UserError(
            f"not a plain ViT: unknown parameters {', '.join(unknown)} (layer scale, a distillation token?)"
        )
    for name in _QKV:
        if name in stacked:
            stacked[name] = stacked[name].unflatten(1, (3, -1))
    return stacked


def unstack(weights: Mapping[str, Tensor]) -> Tensors:
    """Stacked names -> timm's names; any other name stays. Differentiable, without a copy in the forward direction."""
    state: Tensors = {}
    for name, tensor in weights.items():
        if name not in _STACKED:
            state[name] = tensor
            continue
        if name in _QKV:
            tensor = tensor.flatten(1, 2)
        suffix = name.removeprefix("blocks.")
        for index, layer in enumerate(tensor.unbind(0)):
            state[f"blocks.{index}.{suffix}"] = layer
    return state


def initial(config: ModelConfig, seed: int) -> Tensors:
    """Fresh weights by timm's own initialisation, stacked."""
    return stack({name: tensor.detach() for name, tensor in build(config, seed=seed).state_dict().items()})


def check(weights: Mapping[str, Tensor], config: ModelConfig, origin: str) -> None:
    """Strict: every parameter of the architecture, no other, each of the right shape.

    Raises:
        UserError: names `origin`, the parameter, the shape expected and the shape that came.
    """
    expected = shapes(config)
    problems = [f"missing {name}" for name in expected if name not in weights]
    problems += [f"unexpected {name}" for name in weights if name not in expected]
    problems += [
        f"{name} has shape {tuple(weights[name].shape)}, expected {shape}"
        for name, shape in expected.items()
        if name in weights and tuple(weights[name].shape) != shape
    ]
    if problems:
        raise UserError(
            f"{origin}: a checkpoint of another architecture: {'; '.join(problems[:4])}"
            f"{f'; and {len(problems) - 4} more' if len(problems) > 4 else ''}; expected {config}"
        )
