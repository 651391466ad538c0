"""ImageNet-1K, from class folders or from WebDataset shards that the user has."""

from __future__ import annotations

from pathlib import Path

from regrow.data.image_set import ImageSet, RawSet, Track
from regrow.data.own_folder import OwnFolder
from regrow.data.photographs import Sample, photographs
from regrow.data.shards import listed

FOLDER = OwnFolder(
    name="imagenet-1k",
    holds="train/<class>/*.JPEG and val/<class>/*.JPEG (1,000 class folders each), or timm's WebDataset shards, "
    "*-train-*.tar and *-validation-*.tar",
    page="image-net.org",
)


def build(img_size: int, cache: Path, progress: Track) -> RawSet:
    """Every image of train/ and val/, or of the shards; labels are the sorted class folders, or the shards' own.

    Raises:
        UserError: no folder, another layout, or not the published number of classes or images.
    """
    with FOLDER.reading() as root:
        if shards := sorted(root.glob("*-train-*.tar")):
            train = listed(shards, progress, "list imagenet-1k's training shards")
            test = listed(sorted(root.glob("*-validation-*.tar")), progress, "list imagenet-1k's validation shards")
            class_names = [str(label) for label in range(IMAGENET.num_classes)]
        else:
            class_names = _class_folders(root / "train")
            if _class_folders(root / "val") != class_names:
                raise FOLDER.error("train/ and val/ hold different classes")
            train, test = (_images(root / split, class_names) for split in ("train", "val"))
    return photographs(
        IMAGENET, FOLDER, train=train, test=test, class_names=class_names, img_size=img_size, progress=progress
    )


def _class_folders(split: Path) -> list[str]:
    """The sorted class names below `split`, which are the labels."""
    names = sorted(path.name for path in split.iterdir() if path.is_dir()) if split.is_dir() else []
    if len(names) != IMAGENET.num_classes:
        raise FOLDER.error(f"{split}: expected {IMAGENET.num_classes} class folders, found {len(names)}")
    return names


def _images(split: Path, class_names: list[str]) -> list[Sample]:
    return [(path, label) for label, name in enumerate(class_names) for path in sorted((split / name).iterdir())]


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
