"""Grow one checkpoint, outside the study: a timm ViT's weights in, a larger timm ViT's weights out.

grown = grow_checkpoint("deit_small.pth", "deit_base_patch16_224", "lemon")
grown.save(Path("deit_base.safetensors"))
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from torch import Tensor
from torch.func import functional_call

from regrow.config import Fit, ModelConfig, OperatorConfig, Recipe, explain
from regrow.data import load
from regrow.errors import UserError
from regrow.grown import IMAGES, SHARED, Grown
from regrow.growth.describe import axis_maps
from regrow.growth.operator import Operator, grow
from regrow.growth.registry import entry, target_config
from regrow.growth.registry import operator as make_operator
from regrow.models.named import named_config
from regrow.models.vit import Tensors, build, initial, unstack
from regrow.train.batches import tensors
from regrow.train.fit import fit_operator
from regrow.train.seeds import derive
from regrow.train.source import read_checkpoint, source_config


def fit_recipe(steps: int = 100, batch_size: int = 64, lrs: Sequence[float] | None = None) -> Fit:
    """How a learned operator is fitted unless it is told otherwise: as in the study's larger tiers."""
    rates = tuple(lrs or (1e-4, 3e-4, 1e-3, 3e-3))
    values = {"duration": f"{steps} steps", "batch_size": batch_size, "lr": min(rates)}
    values |= {"warmup": 0.1, "label_smoothing": 0.1, "evaluations": 4}
    try:
        return Fit(recipe=Recipe.model_validate(values), lr_candidates=rates)
    except ValidationError as error:
        raise UserError(explain(error, Path("fit"), Recipe)) from error


def grow_checkpoint(
    source: Path | str | None,
    target: str,
    operator: str,
    *,
    options: Mapping[str, Any] | None = None,
    source_heads: int | None = None,
    data: Path | None = None,
    fit: Fit | None = None,
    seed: int = 0,
    device: torch.device | str = "cpu",
) -> Grown:
    """Grow the checkpoint `source` into timm's model `target`, and measure how far the logits moved.

    The target takes `img_size`, `in_chans` and `num_classes` from the source. A learned operator is fitted on the
    packed set in the folder `data` (`regrow data` makes one); without it the result is the operator's start.

    Raises:
        UserError: a file, name, option or pair of architectures that does not go; the message says what would.
    """
    chosen = make_operator(config := OperatorConfig(name=operator, options=dict(options or {})))
    config = OperatorConfig(name=operator, options=chosen.model_dump())
    if entry(operator).source != (source is not None):
        raise UserError(f"{operator} {'grows a checkpoint: give --source' if source is None else 'takes no --source'}")
    if data is not None and not chosen.learned:
        raise UserError(f"{operator} is a closed form and has nothing to fit; leave --data out")
    large = named_config(target)
    if source is None:
        small, weights = large, initial(large, derive(seed, "init"))
    else:
        found = read_checkpoint(Path(source))
        small, weights = source_config(found, large, source_heads), found.weights
    shared = {field: getattr(small, field) for field in SHARED}
    large = target_config(operator, small, large.model_copy(update=shared))
    basis = {name: tensor.to(device) for name, tensor in weights.items()}
    grown, fitted = grow(chosen, basis, small, large, derive(seed, "operator")), None
    if data is not None:
        grown, fitted = _fit(chosen, fit or fit_recipe(), basis, small, large, data, seed, torch.device(device))
    return Grown(
        name=target,
        operator=config,
        source=None if source is None else small,
        target=large,
        axes=[] if source is None else axis_maps(chosen, small, large, derive(seed, "operator")),
        weights=grown,
        difference=None if source is None else _difference(basis, small, grown, large, seed),
        fit=fitted,
        learned=chosen.learned,
    )


def _fit(
    operator: Operator,
    fit: Fit,
    basis: Tensors,
    source: ModelConfig,
    target: ModelConfig,
    data: Path,
    seed: int,
    device: torch.device,
) -> tuple[Tensors, dict[str, Any]]:
    packed = load(data)
    for field in ("img_size", "num_classes"):
        if getattr(packed.manifest, field) != getattr(source, field):
            raise UserError(
                f"{data}: {field} {getattr(packed.manifest, field)}, but the source was trained at "
                f"{getattr(source, field)}; fit on a set like the source's own"
            )
    fitted = fit_operator(
        operator,
        fit,
        basis,
        source,
        target,
        model=build(target).to(device),
        images=tensors(packed, "train", device, in_chans=target.in_chans),
        minival=tensors(packed, "minival", device, in_chans=target.in_chans),
        seed=seed,
        label="fit",
    )
    return fitted.weights, {"data": packed.manifest.name, "before": fitted.history.metrics[0], **fitted.summary}


def _difference(basis: Tensors, source: ModelConfig, weights: Tensors, target: ModelConfig, seed: int) -> float:
    shape = (IMAGES, source.in_chans, source.img_size, source.img_size)
    images = torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(next(iter(basis.values())))
    before, after = _logits(basis, source, images), _logits(weights, target, images)
    return float((after - before).abs().max() / before.abs().max())


def _logits(weights: Tensors, config: ModelConfig, images: Tensor) -> Tensor:
    with torch.device("meta"):
        model = build(config).eval()
    with torch.inference_mode():
        logits: Tensor = functional_call(model, unstack(weights), (images,))
    return logits
