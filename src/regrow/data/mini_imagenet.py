"""Mini-ImageNet: 100 classes of ImageNet, 600 images each, published for few-shot learning."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from regrow.data.holdout import stratified
from regrow.data.image_set import ImageSet, RawSet, Track
from regrow.data.own_folder import OwnFolder
from regrow.data.photographs import Sample, held_out_of, photographs

FOLDER = OwnFolder(
    name="mini-imagenet",
    holds="images/*.jpg and train.csv, val.csv and test.csv with the columns filename and label",
    page="github.com/twitter-research/meta-learning-lstm (the lists; the images are ImageNet's)",
)
TEST_SEED = 0  # of the data set, not of the study: every study is scored on the same images


def build(img_size: int, cache: Path, progress: Track) -> RawSet:
    """All 100 classes together. The published lists split the classes, so a sixth of each class is held out here."""
    with FOLDER.reading() as root:
        rows = [row for part in ("train", "val", "test") for row in _rows(root / f"{part}.csv")]
        class_names = sorted({row["label"] for row in rows})
        code = {name: label for label, name in enumerate(class_names)}
        samples: list[Sample] = [(root / "images" / row["filename"], code[row["label"]]) for row in rows]
        labels = np.array([label for _, label in samples])
        train, test = held_out_of(samples, stratified(labels, MINI_IMAGENET.test, TEST_SEED))
    return photographs(
        MINI_IMAGENET,
        FOLDER,
        train=train,
        test=test,
        class_names=class_names,
        img_size=img_size,
        progress=progress,
    )


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


MINI_IMAGENET = ImageSet(
    name="mini-imagenet",
    what="100 classes of ImageNet, 600 images each",
    citation="Vinyals et al.: Matching networks for one shot learning, NeurIPS 2016; lists of Ravi, Larochelle 2017",
    licence="ImageNet terms of access",
    num_classes=100,
    train=50_000,
    test=10_000,
    polarity="colour",
    flip=True,
    metric="accuracy",
    build=build,
)
