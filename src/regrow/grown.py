"""A grown checkpoint: its weights, and a summary of what was grown how."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tabulate import tabulate

from regrow.config import ModelConfig, OperatorConfig, canonical
from regrow.growth.describe import AxisMap
from regrow.models.axes import shapes
from regrow.models.named import named_config
from regrow.models.vit import Tensors, unstack
from regrow.train.checkpoint import save_tensors

SHARED = ("img_size", "in_chans", "num_classes")
"""What the target takes from the source: no operator maps it."""

IMAGES = 4
"""Random images on which source and target are compared."""


@dataclass(frozen=True, kw_only=True)
class Grown:
    """The target's weights and how they came about. `source` is None for an operator without one."""

    name: str
    operator: OperatorConfig
    source: ModelConfig | None
    target: ModelConfig
    axes: list[AxisMap]
    weights: Tensors
    difference: float | None
    """Largest difference between the logits of target and source, relative to the largest logit of the source."""
    fit: dict[str, Any] | None
    learned: bool

    def state_dict(self) -> Tensors:
        """The weights in timm's names."""
        return unstack(self.weights)

    def save(self, path: Path) -> None:
        """Write a safetensors file that timm loads; the architecture and the operator are in its metadata."""
        operator = canonical(self.operator)
        save_tensors(path, self.state_dict(), timm=self.name, model=canonical(self.target), operator=operator)

    def load_call(self, path: Path) -> str:
        """The Python call that makes the model of the file that `save` wrote."""
        plain = named_config(self.name)
        sizes = {field: getattr(self.target, field) for field in SHARED}
        changed = [f"{field}={size}" for field, size in sizes.items() if size != getattr(plain, field)]
        if self.target.norm_eps != plain.norm_eps:
            changed.append(f"norm_layer=functools.partial(torch.nn.LayerNorm, eps={self.target.norm_eps!r})")
        return f"timm.create_model({', '.join([repr(self.name), *changed, f'checkpoint_path={str(path)!r}'])})"

    def summary(self) -> str:
        """For people: the operator, both architectures, every axis, and what became of the function."""
        options = " ".join(f"{name}={value}" for name, value in self.operator.options.items())
        lines = [f"operator  {self.operator.name} {options}".rstrip()]
        if self.source is None:
            lines.append("source    none: timm's fresh weights, of which the operator makes others")
        else:
            lines.append(f"source    {_architecture(self.source)}")
        lines.append(f"target    {_architecture(self.target)}  ({self.name})")
        rows = [(axis.axis, axis.old, axis.new, axis.how) for axis in self.axes]
        if rows:
            lines += ["", tabulate(rows, headers=("axis", "source", "target", "map"), tablefmt="plain"), ""]
        lines += self._fit_lines()
        if self.difference is not None:
            lines.append(
                f"logits    relative difference of target and source on {IMAGES} random images: {self.difference:.1e} "
                "(float32: 1e-5 or less is rounding)"
            )
        return "\n".join(lines)

    def _fit_lines(self) -> list[str]:
        if self.fit:
            before, after = self.fit["before"], next(c for c in self.fit["candidates"] if c["lr"] == self.fit["lr"])
            return [
                f"fit       {self.fit['steps']} steps on {self.fit['data']}, lr {self.fit['lr']:g} is the best of "
                f"{len(self.fit['candidates'])}: minival loss {before['minival_loss']:.3f} -> "
                f"{after['minival_loss']:.3f}, accuracy {before['minival_accuracy']:.2f} -> "
                f"{after['minival_accuracy']:.2f} %"
            ]
        if self.learned:
            return [f"fit       NOT FITTED: {self.operator.name} is learned, and without --data this is only its start"]
        return []


def _architecture(config: ModelConfig) -> str:
    return (
        f"embed_dim {config.embed_dim}, depth {config.depth}, heads {config.num_heads} x {config.head_dim}, "
        f"mlp {config.mlp_dim}, patch {config.patch_size}, {config.img_size} px, {config.num_classes} classes, "
        f"norm_eps {config.norm_eps:g}: {sum(map(math.prod, shapes(config).values())):,} parameters"
    )
