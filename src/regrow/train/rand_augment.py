"""RandAugment (Cubuk et al., 2020) as timm's `rand-mM-mstd0.5-inc1`, on a whole batch, each image drawn for itself.

timm's works on one PIL image, torchvision's draws one operation for the whole batch. Here the images that drew the
same operation go through it together, each at its own magnitude; the kernels are torchvision's where it has them.

Shapes: B images uint8 [B, C, H, W], H = W; amount [B], in -1..1: magnitude / 10 with a random sign.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, conv2d, grid_sample
from torchvision.transforms.v2 import functional as tv

from regrow.train.distributed import Rows

LAYERS = 2
"""Operations an image."""
PROBABILITY = 0.5
"""That a drawn operation is applied."""
STD = 0.5
"""Of the magnitude."""
MOST = 10
"""The scale of magnitudes."""

Operation = Callable[[Tensor, Tensor, Tensor], Tensor]
"""(images, amount, fill [C, 1, 1] in 0..255) -> images."""


def rand_augment(images: Tensor, magnitude: float, fill: Tensor, rows: Rows | None = None) -> Tensor:
    """Two rounds of random operations from the CPU's global generator; what comes in from outside is `fill`.

    `rows` are the images' in a larger batch that is drawn for.
    """
    rows = rows or Rows(len(images))
    operations = list(OPERATIONS.values())
    for _ in range(LAYERS):
        images = images.clone()
        drawn = rows.kept(torch.randint(len(operations), (rows.batch,)))
        applied = rows.kept(torch.rand(rows.batch) < PROBABILITY)
        size = (magnitude + STD * torch.randn(rows.batch)).clamp(0, MOST) / MOST
        amount = rows.kept(torch.where(torch.rand(rows.batch) < 0.5, size, -size))
        for number, operation in enumerate(operations):
            chosen = ((drawn == number) & applied).nonzero().flatten()
            if len(chosen):
                there, amounts = (held.to(images.device, non_blocking=True) for held in (chosen, amount[chosen]))
                images[there] = operation(images[there], amounts, fill)
    return images


def warped(images: Tensor, theta: Tensor, fill: Tensor | None = None) -> Tensor:
    """Float images seen through the affine maps `theta` [B, 2, 3] of output to input, bicubic; coordinates -1..1.

    What lies outside is `fill`, or the image's border where there is none.
    """
    grid = affine_grid(theta, list(images.shape), align_corners=False)
    sampled = grid_sample(images, grid, mode="bicubic", padding_mode="border", align_corners=False)
    if fill is None:
        return sampled
    return torch.where((grid.abs() <= 1).all(3).unsqueeze(1), sampled, fill)


def _geometry(entries: Callable[[Tensor, Tensor, Tensor], list[Tensor]]) -> Operation:
    """An operation from the six entries of its map; `entries` takes amount, zeros and ones, all [B]."""

    def operation(images: Tensor, amount: Tensor, fill: Tensor) -> Tensor:
        zero = torch.zeros_like(amount)
        theta = torch.stack(entries(amount, zero, zero + 1), dim=1).unflatten(1, (2, 3))
        return warped(images.float(), theta, fill).clamp_(0, 255).to(torch.uint8)

    return operation


def _enhancement(adjust: Callable[[Tensor, float], Tensor]) -> Operation:
    """PIL's ImageEnhance: blend with, or away from, the image at factor 0. Factors 0.1 to 1.9."""

    def operation(images: Tensor, amount: Tensor, fill: Tensor) -> Tensor:
        factor = (1 + 0.9 * amount).clamp(min=0.1).view(-1, 1, 1, 1)
        plain = adjust(images, 0.0).float()
        return plain.lerp_(images.float(), factor).clamp_(0, 255).to(torch.uint8)

    return operation


def _smooth(images: Tensor, factor: float) -> Tensor:
    """What torchvision's adjust_sharpness gives at factor 0; that copies a kernel to the device and waits for it."""
    smoothed, channels = images.float(), images.shape[1]
    kernel = _smoothing(images.device).expand(channels, 1, 3, 3)
    smoothed[..., 1:-1, 1:-1] = conv2d(smoothed, kernel, groups=channels).round_()
    return smoothed


@cache
def _smoothing(device: torch.device) -> Tensor:
    kernel = torch.ones(3, 3)
    kernel[1, 1] = 5
    return (kernel / 13).to(device)


def _rotation(amount: Tensor, zero: Tensor, one: Tensor) -> list[Tensor]:
    """30 degrees at most."""
    angle = amount * (math.pi / 6)
    return [angle.cos(), -angle.sin(), zero, angle.sin(), angle.cos(), zero]


def _posterize(images: Tensor, amount: Tensor, fill: Tensor) -> Tensor:
    """Keep 4 down to 0 of the highest bits."""
    dropped = 4 + (4 * amount.abs()).int()
    mask = 256 - (1 << dropped)
    return images & mask.to(torch.uint8).view(-1, 1, 1, 1)


def _solarize(images: Tensor, amount: Tensor, fill: Tensor) -> Tensor:
    """Invert from a brightness of 256 down to 0 on."""
    threshold = 256 - (256 * amount.abs()).int()
    return torch.where(images.int() < threshold.view(-1, 1, 1, 1), images, 255 - images)


def _solarize_add(images: Tensor, amount: Tensor, fill: Tensor) -> Tensor:
    """Add at most 110 to what is darker than 128."""
    added = (images.int() + (110 * amount.abs()).int().view(-1, 1, 1, 1)).clamp_(max=255)
    return torch.where(images < 128, added.to(torch.uint8), images)


OPERATIONS: dict[str, Operation] = {
    "AutoContrast": lambda images, amount, fill: tv.autocontrast(images),
    "Equalize": lambda images, amount, fill: tv.equalize(images),
    "Invert": lambda images, amount, fill: tv.invert(images),
    "Rotate": _geometry(_rotation),
    "PosterizeIncreasing": _posterize,
    "SolarizeIncreasing": _solarize,
    "SolarizeAdd": _solarize_add,
    "ColorIncreasing": _enhancement(tv.adjust_saturation),
    "ContrastIncreasing": _enhancement(tv.adjust_contrast),
    "BrightnessIncreasing": _enhancement(tv.adjust_brightness),
    "SharpnessIncreasing": _enhancement(_smooth),
    "ShearX": _geometry(lambda amount, zero, one: [one, 0.3 * amount, 0.3 * amount, zero, one, zero]),
    "ShearY": _geometry(lambda amount, zero, one: [one, zero, zero, 0.3 * amount, one, 0.3 * amount]),
    "TranslateXRel": _geometry(lambda amount, zero, one: [one, zero, 0.9 * amount, zero, one, zero]),
    "TranslateYRel": _geometry(lambda amount, zero, one: [one, zero, zero, zero, one, 0.9 * amount]),
}
"""timm's names. Shears of 0.3 at most, about the upper left corner as in timm; shifts of 0.45 of the side at most."""
