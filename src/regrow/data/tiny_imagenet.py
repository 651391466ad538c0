"""Tiny-ImageNet: 200 classes of ImageNet at 64 px (Stanford's course CS231n)."""

from __future__ import annotations

from pathlib import Path

from regrow.data.image_set import ImageSet, RawSet, Track
from regrow.data.own_folder import OwnFolder
from regrow.data.photographs import WHOLE, Sample, photographs

FOLDER = OwnFolder(
    name="tiny-imagenet-200",
    holds="wnids.txt, train/<wnid>/images/*.JPEG, val/images/*.JPEG and val/val_annotations.txt",
    page="cs231n.stanford.edu/tiny-imagenet-200.zip",
)


def build(img_size: int, cache: Path, progress: Track) -> RawSet:
    """Whole images; the published validation images are the test, because the test images have no labels."""
    with FOLDER.reading() as root:
        wordnet = sorted((root / "wnids.txt").read_text().split())
        train: list[Sample] = [
            (path, label)
            for label, name in enumerate(wordnet)
            for path in sorted((root / "train" / name / "images").iterdir())
        ]
        lines = [line.split("\t") for line in (root / "val/val_annotations.txt").read_text().splitlines()]
        test: list[Sample] = [(root / "val/images" / file, wordnet.index(name)) for file, name, *_ in lines]
    return photographs(
        TINY_IMAGENET,
        FOLDER,
        train=train,
        test=test,
        class_names=wordnet,
        img_size=img_size,
        progress=progress,
        crop=WHOLE,
    )


TINY_IMAGENET = ImageSet(
    name="tiny-imagenet",
    what="200 classes of ImageNet at 64 px",
    citation="Le, Yang: Tiny ImageNet visual recognition challenge, CS231n 2015",
    licence="ImageNet terms of access",
    num_classes=200,
    train=100_000,
    test=10_000,
    polarity="colour",
    flip=True,
    metric="accuracy",
    build=build,
)
