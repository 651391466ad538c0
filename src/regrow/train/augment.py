"""Augmentation of whole batches on their device, and the mixing of pairs; drawn from the global generators.

Shapes: B batch, C channels, H height, W width, K classes. Before they are normalised, images are float in [0, 1].
"""

from __future__ import annotations

import math

import torch
from timm.data.mixup import Mixup
from timm.data.random_erasing import RandomErasing
from torch import Tensor

from regrow.config import Augment, Recipe
from regrow.train.distributed import Rows
from regrow.train.rand_augment import rand_augment, warped

RATIO = (3 / 4, 4 / 3)
"""Width to height of a resized crop, as everywhere."""
ATTEMPTS = 10
"""Draws of a resized crop until the whole image is taken, as in timm."""


def augmented(images: Tensor, augment: Augment, mean: Tensor, rows: Rows | None = None) -> Tensor:
    """Crops, flip, inversion and RandAugment, each drawn per image; `mean` [C, 1, 1] is the set's, in [0, 1].

    `rows` are the images' in a larger batch that is drawn for.
    """
    rows = rows or Rows(len(images))
    _, _, height, width = images.shape
    batch, device = rows.batch, images.device
    if augment.resized_crop:
        maps = rows.kept(crop_maps(batch, height, augment.resized_crop))
        images = warped(images, maps.to(device, non_blocking=True)).clamp_(0, 1)
    if augment.crop_pad:
        pad = augment.crop_pad
        padded = torch.nn.functional.pad(images, (pad, pad, pad, pad), mode="replicate")
        tops, lefts = (rows.kept(torch.randint(2 * pad + 1, (batch, 1), device=device)) for _ in range(2))
        top, left = tops + torch.arange(height, device=device), lefts + torch.arange(width, device=device)
        high = padded.gather(2, top[:, None, :, None].expand(-1, images.shape[1], -1, padded.shape[3]))
        images = high.gather(3, left[:, None, None, :].expand(-1, images.shape[1], height, -1))
    if augment.flip:
        images = torch.where(rows.kept(_half(batch, device)), images.flip(3), images)
    if augment.invert:
        images = torch.where(rows.kept(_half(batch, device)), 1 - images, images)
    if augment.rand_augment:
        whole = images.mul(255).round_().to(torch.uint8)
        images = rand_augment(whole, augment.rand_augment, mean.mul(255).round(), rows).float().div_(255)
    return images


def erased(images: Tensor, probability: float, rows: Rows | None = None) -> Tensor:
    """timm's random erasing on normalised images, in place: a rectangle of normal noise.

    An image's draws depend on those before it in the batch, so what is elsewhere is erased too, in a scrap image.
    """
    if not probability:
        return images
    rows = rows or Rows(len(images))
    erase = RandomErasing(probability, mode="pixel", device=str(images.device))  # type: ignore[no-untyped-call]
    here = {position: image for image, position in enumerate(rows.kept(torch.arange(rows.batch)).tolist())}
    scrap = torch.empty_like(images[0])
    for position in range(rows.batch):
        erase(images[here[position]] if position in here else scrap)
    return images


def mixed(images: Tensor, labels: Tensor, recipe: Recipe, num_classes: int) -> tuple[Tensor, Tensor]:
    """timm's Mixup and CutMix, in place; the labels [B] become probabilities [B, K].

    They are not smoothed yet: smoothing is linear, so cross-entropy may do it afterwards.
    """
    if not (recipe.mixup or recipe.cutmix):
        return images, labels
    mix = Mixup(recipe.mixup, recipe.cutmix, label_smoothing=0.0, num_classes=num_classes)  # type: ignore[no-untyped-call]
    return mix(images, labels)  # type: ignore[no-any-return]


def crop_maps(batch: int, size: int, scale: tuple[float, float]) -> Tensor:
    """Affine maps [B, 2, 3] to random crops of square images, in whole pixels, from the CPU's generator."""
    area = torch.empty(ATTEMPTS, batch).uniform_(*scale) * size**2
    ratio = torch.empty(ATTEMPTS, batch).uniform_(math.log(RATIO[0]), math.log(RATIO[1])).exp()
    sides = torch.stack([(area * ratio).sqrt(), (area / ratio).sqrt()]).round()
    sides[:, -1] = torch.where((sides[:, -1] <= size).all(0), sides[:, -1], size)
    first = (sides <= size).all(0).int().argmax(0)
    width, height = sides[:, first, torch.arange(batch)]
    left, top = ((torch.rand(batch) * (size - side + 1)).floor() for side in (width, height))
    maps = torch.zeros(batch, 2, 3)
    maps[:, 0, 0], maps[:, 1, 1] = width / size, height / size
    maps[:, 0, 2], maps[:, 1, 2] = (2 * left + width) / size - 1, (2 * top + height) / size - 1
    return maps


def _half(batch: int, device: torch.device) -> Tensor:
    """True for each image with probability 1/2, [B, 1, 1, 1]."""
    return torch.rand(batch, 1, 1, 1, device=device) < 0.5
