"""ImageNet-1K from a folder that the user has; regrow never downloads it."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from regrow.data.image_set import ImageSet, Pixels, RawSet, Track
from regrow.errors import UserError

CROP = 0.875  # the centre of the shorter side that is kept, timm's default for evaluation


def build(img_size: int, cache: Path, progress: Track) -> RawSet:
    """Every image of train/ and val/, the shorter side resized, the centre cropped.

    Raises:
        UserError: no folder, another layout, or not the published number of classes.
    """
    root = Path(os.environ.get("REGROW_DATA", "data")) / "imagenet-1k"
    wordnet = class_folders(root / "train")
    if class_folders(root / "val") != wordnet:
        raise UserError(f"{root}: train/ and val/ hold different classes; expected the same {len(wordnet)} folders")
    files: list[tuple[Path, int, bool]] = []
    for split in ("train", "val"):
        for label, name in enumerate(wordnet):
            files += [(path, label, split == "val") for path in sorted((root / split / name).iterdir())]
    images = np.empty((len(files), img_size, img_size, 3), np.uint8)
    for image, (path, _, _) in zip(images, progress(files, "read imagenet-1k"), strict=True):
        image[:] = centre(path, img_size)
    return RawSet(
        images=images,
        labels=np.array([label for _, label, _ in files], np.int64),
        is_test=np.array([is_test for _, _, is_test in files]),
        class_names=wordnet,
        source=("folder:imagenet-1k",),
    )


def class_folders(split: Path) -> list[str]:
    """The sorted class names below `split`, which are the labels."""
    names = sorted(path.name for path in split.iterdir() if path.is_dir()) if split.is_dir() else []
    if len(names) != IMAGENET.num_classes:
        raise UserError(
            f"{split}: expected {IMAGENET.num_classes} class folders, found {len(names)}. Set REGROW_DATA to the "
            "folder that holds imagenet-1k/train/<class>/*.JPEG and imagenet-1k/val/<class>/*.JPEG"
        )
    return names


def centre(path: Path, img_size: int) -> Pixels:
    """One image as uint8 [img_size, img_size, 3]."""
    from PIL import Image

    with Image.open(path) as opened:
        image = opened.convert("RGB")
    scale = img_size / CROP / min(image.size)
    size = (round(image.width * scale), round(image.height * scale))
    left, top = ((side - img_size) // 2 for side in size)
    box = (left, top, left + img_size, top + img_size)
    return np.asarray(image.resize(size, Image.Resampling.BICUBIC).crop(box))


IMAGENET = ImageSet(
    name="imagenet-1k",
    what="ImageNet-1K, from a folder that you have",
    citation="Russakovsky et al.: ImageNet Large Scale Visual Recognition Challenge, IJCV 2015",
    licence="ImageNet terms of access",
    num_classes=1000,
    train=1_281_167,
    test=50_000,
    polarity="colour",
    flip=True,
    metric="accuracy",
    build=build,
)
