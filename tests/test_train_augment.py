"""Augmentation against timm's own, one image at a time, and against its formula."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from PIL import Image
from timm.data import auto_augment
from timm.data.mixup import Mixup
from timm.data.transforms import RandomResizedCropAndInterpolation
from timm.loss.cross_entropy import SoftTargetCrossEntropy
from torch import Tensor
from torch.nn.functional import cross_entropy, interpolate
from torchvision.transforms.v2.functional import adjust_sharpness

from regrow.config import Augment, Recipe
from regrow.train.augment import RATIO, augmented, crop_maps, erased, mixed
from regrow.train.batches import order
from regrow.train.rand_augment import OPERATIONS, _smooth, rand_augment, warped
from regrow.train.seeds import seed_generators

FILL = torch.tensor([124.0, 116.0, 104.0]).view(3, 1, 1)
MEAN = FILL / 255


def smooth(batch: int, size: int = 32) -> Tensor:
    """uint8 images [B, 3, size, size] of random slow waves, on which two ways of resampling agree."""
    torch.manual_seed(1)
    coarse = torch.rand(batch, 3, 3, 3)
    return interpolate(coarse, size=size, mode="bilinear").mul(255).to(torch.uint8)


def by_timm(name: str, image: Tensor, magnitude: float, negative: bool) -> Tensor:
    """timm's operation on one PIL image, with the sign that we ask for."""
    arguments = {"img_mean": tuple(int(value) for value in FILL.flatten()), "interpolation": Image.Resampling.BICUBIC}
    operation = auto_augment.AugmentOp(name, prob=1.0, magnitude=magnitude, hparams=arguments)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(auto_augment.random, "random", lambda: float(negative))
        made = operation(Image.fromarray(image.permute(1, 2, 0).numpy()))
    return torch.from_numpy(np.array(made)).permute(2, 0, 1)


@pytest.mark.parametrize("channels", [1, 3])
def test_smoothing_has_the_bits_of_torchvisions(channels: int) -> None:
    images = torch.randint(256, (5, channels, 9, 9), dtype=torch.uint8)
    assert torch.equal(_smooth(images, 0.0).to(torch.uint8), adjust_sharpness(images, 0.0))


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_operation_is_timms(name: str) -> None:
    """Each image of a batch has a magnitude and a sign of its own. PIL and torchvision round differently."""
    images = smooth(8)
    magnitudes = torch.tensor([0.0, 9.0, 8.3, 9.99, 9.6, 3.0, 5.5, 9.0])
    signs = torch.tensor([1, 1, -1, 1, -1, -1, 1, -1])
    made = OPERATIONS[name](images, signs * magnitudes / 10, FILL)
    assert made.dtype == torch.uint8
    assert list(OPERATIONS) == auto_augment._RAND_INCREASING_TRANSFORMS
    for image, got, magnitude, sign in zip(images, made, magnitudes, signs, strict=True):
        expected = by_timm(name, image, float(magnitude), bool(sign < 0))
        off = (got.int() - expected.int()).abs()
        assert off.max() <= 2, f"{name} at {magnitude}: off by {off.max()} of 255"
        assert off.float().mean() < 1, f"{name} at {magnitude}: off by {off.float().mean():.2f} of 255 on average"


def test_magnitude_ten_posterizes_to_black() -> None:
    """No bit is kept; PIL did so too when DeiT was trained, and refuses today."""
    assert not OPERATIONS["PosterizeIncreasing"](smooth(2), torch.ones(2), FILL).any()


def test_each_image_draws_for_itself_and_half_of_the_operations_are_skipped() -> None:
    one = smooth(1)
    images = one.expand(4000, -1, -1, -1)
    torch.manual_seed(0)
    made = rand_augment(images, 9.0, FILL)
    same = (made == images).flatten(1).all(1).float().mean().item()
    assert 0.25 <= same < 0.33, "both skipped: 1/4, and a few that change nothing"
    assert len(made.unique(dim=0)) > 1500
    assert torch.equal(images, one.expand(4000, -1, -1, -1)), "the given images stay"
    torch.manual_seed(0)
    assert torch.equal(rand_augment(images, 9.0, FILL), made)


def test_a_resized_crop_is_the_crop_resized() -> None:
    seed_generators(0)
    scale, size = (0.08, 1.0), 32
    maps = crop_maps(2000, size, scale)
    width, height = maps[:, 0, 0] * size, maps[:, 1, 1] * size
    left, top = (((maps[:, axis, 2] + 1) * size - side) / 2 for axis, side in enumerate((width, height)))
    for side, start in ((width, left), (height, top)):
        assert torch.allclose(side, side.round(), atol=1e-4)
        assert torch.allclose(start, start.round(), atol=1e-4)
        assert start.min() > -1e-3
        assert (start + side).max() < size + 1e-3
        assert start.max() > size / 2, "crops reach the far side"
    share, ratio = width * height / size**2, width / height
    drawn = [RandomResizedCropAndInterpolation.get_params(Image.new("L", (size, size)), scale, RATIO) for _ in width]
    theirs = torch.tensor(drawn)[:, 2:].float()
    for mine, timms in ((share, theirs.prod(1) / size**2), (ratio.log(), (theirs[:, 1] / theirs[:, 0]).log())):
        assert mine.mean().item() == pytest.approx(timms.mean().item(), abs=0.03)
        assert mine.std().item() == pytest.approx(timms.std().item(), rel=0.1)
    images = smooth(8).float() / 255
    for index, (image, got) in enumerate(zip(images, warped(images, maps[:8]), strict=True)):
        y, h, x, w = (int(values[index].round()) for values in (top, height, left, width))
        expected = interpolate(image[None, :, y : y + h, x : x + w], size=size, mode="bicubic", align_corners=False)
        assert (got - expected[0]).abs().mean() < 0.01


def test_a_whole_image_is_its_own_crop() -> None:
    images = smooth(4).float() / 255
    torch.testing.assert_close(augmented(images, Augment(resized_crop=(1.0, 1.0)), MEAN), images, rtol=0, atol=1e-5)


def test_erasing_puts_noise_into_one_rectangle_of_some_images() -> None:
    seed_generators(0)
    images = torch.full((400, 3, 32, 32), 9.0)
    changed = (erased(images.clone(), 0.25) != images).any(1)
    hit = changed.flatten(1).any(1)
    assert 0.18 < hit.float().mean() < 0.32
    for mask in changed[hit]:
        rows, columns = mask.any(1).nonzero(), mask.any(0).nonzero()
        area = (rows.max() - rows.min() + 1) * (columns.max() - columns.min() + 1)
        assert mask.sum() == area
        assert 0.015 < area / 1024 < 0.35
    assert torch.equal(erased(images, 0.0), images)


@pytest.mark.parametrize("alphas", [(0.8, 0.0), (0.0, 1.0), (0.8, 1.0)])
def test_the_loss_of_mixed_pairs_is_timms(alphas: tuple[float, float]) -> None:
    """Probabilities that torch's cross-entropy smooths, against timm's smoothed targets and SoftTargetCrossEntropy."""
    recipe = Recipe(duration="1 steps", batch_size=8, lr=1, mixup=alphas[0], cutmix=alphas[1])
    theirs = Mixup(*alphas, label_smoothing=0.1, num_classes=10)
    changed = 0
    for seed in range(6):
        torch.manual_seed(seed)
        images, logits, labels = torch.rand(8, 3, 8, 8), torch.randn(8, 10), torch.randint(10, (8,))
        seed_generators(seed)
        expected_images, target = theirs(images.clone(), labels)
        expected = SoftTargetCrossEntropy()(logits, target)
        seed_generators(seed)
        got_images, probabilities = mixed(images.clone(), labels, recipe, 10)
        assert torch.equal(got_images, expected_images)
        changed += not torch.equal(got_images, images)
        torch.testing.assert_close(cross_entropy(logits, probabilities, label_smoothing=0.1), expected)
    assert changed > 3


def test_without_mixing_images_and_labels_stay() -> None:
    images, labels = torch.rand(4, 3, 8, 8), torch.arange(4)
    recipe = Recipe(duration="1 steps", batch_size=4, lr=1)
    assert all(a is b for a, b in zip(mixed(images, labels, recipe, 10), (images, labels), strict=True))


def test_repeated_augmentation_repeats_each_image_and_sees_fewer() -> None:
    epoch = torch.cat(list(order(size=30, batch_size=6, steps=5, seed=0, repeats=3)))
    assert torch.equal(epoch, epoch[::3].repeat_interleave(3))
    assert len(epoch.unique()) == 10
    later = torch.cat(list(order(size=30, batch_size=6, steps=10, seed=0, start=5, repeats=3)))
    assert not torch.equal(later, epoch)
    whole = list(order(size=30, batch_size=6, steps=10, seed=0, repeats=3))
    assert torch.equal(torch.cat(whole[5:]), later)


def test_every_global_generator_is_seeded() -> None:
    def drawn(seed: int) -> list[float]:
        seed_generators(seed)
        return [torch.rand(1).item(), np.random.rand(), random.random()]

    first = drawn(2**62 + 5)
    assert all(a != b for a, b in zip(first, drawn(2**62 + 6), strict=True))
    assert drawn(2**62 + 5) == first
