"""CIFAR-10 and CIFAR-100 through torchvision, which checks the md5 of every file before it unpickles it."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np

from regrow.data.image_set import ImageSet, Pixels, RawSet, Track
from regrow.data.own_folder import OwnFolder
from regrow.data.photographs import WHOLE, centre, in_chunks

PAGE = "www.cs.toronto.edu/~kriz/cifar.html (the Python version)"
FOLDERS = {
    "CIFAR10": OwnFolder(
        name="cifar-10-batches-py", holds="data_batch_1 to data_batch_5, test_batch and batches.meta", page=PAGE
    ),
    "CIFAR100": OwnFolder(name="cifar-100-python", holds="train, test and meta", page=PAGE),
}


def cifar_10(img_size: int, cache: Path, progress: Track) -> RawSet:
    """CIFAR-10, whole images resized."""
    return _build("CIFAR10", img_size, progress)


def cifar_100(img_size: int, cache: Path, progress: Track) -> RawSet:
    """CIFAR-100 with its 100 fine labels, whole images resized."""
    return _build("CIFAR100", img_size, progress)


def _build(dataset: str, img_size: int, progress: Track) -> RawSet:
    from torchvision import datasets

    folder = FOLDERS[dataset]
    with folder.reading() as root:
        train, test = (getattr(datasets, dataset)(root.parent, train=part) for part in (True, False))
    return RawSet(
        images=in_chunks(
            [*train.data, *test.data],
            partial(_enlarged, img_size=img_size),
            img_size,
            f"resize {folder.name}",
            progress,
        ),
        labels=np.array(train.targets + test.targets, np.int64),
        is_test=np.arange(len(train) + len(test)) >= len(train),
        class_names=train.classes,
        source=(f"folder:{folder.name}",),
    )


def _enlarged(image: Pixels, img_size: int) -> Pixels:
    from PIL import Image

    return centre(Image.fromarray(image), img_size, WHOLE)


CIFAR_10 = ImageSet(
    name="cifar-10",
    what="photographs of ten kinds of things, 32 px",
    citation="Krizhevsky: Learning multiple layers of features from tiny images, 2009",
    licence="none stated",
    num_classes=10,
    train=50_000,
    test=10_000,
    polarity="colour",
    flip=True,
    metric="accuracy",
    build=cifar_10,
)
CIFAR_100 = ImageSet(
    name="cifar-100",
    what="photographs of a hundred kinds of things, 32 px",
    citation="Krizhevsky: Learning multiple layers of features from tiny images, 2009",
    licence="none stated",
    num_classes=100,
    train=50_000,
    test=10_000,
    polarity="colour",
    flip=True,
    metric="accuracy",
    build=cifar_100,
)
