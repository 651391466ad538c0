"""Fashion-MNIST: photographs of clothes, grey, made to replace MNIST (Xiao, Rasul and Vollgraf 2017)."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

from regrow.data.debian import debian_files
from regrow.data.idx import (
    TEST_IMAGES,
    TEST_LABELS,
    TRAIN_IMAGES,
    TRAIN_LABELS,
    Files,
    fetch_idx,
    from_torchvision,
    idx_set,
    read_verified,
)
from regrow.data.image_set import ImageSet, RawSet, Track
from regrow.data.routes import Route

DEBIAN_PACKAGE = "dataset-fashion-mnist"
DEBIAN_FOLDER = "usr/share/datasets/fashion-mnist"
INSTALLED = Path("/") / DEBIAN_FOLDER
DIGESTS = {
    TRAIN_IMAGES: "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    TRAIN_LABELS: "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    TEST_IMAGES: "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    TEST_LABELS: "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
}
CLASSES = [
    "t-shirt",
    "trouser",
    "pullover",
    "dress",
    "coat",
    "sandal",
    "shirt",
    "sneaker",
    "bag",
    "ankle boot",
]


def build(img_size: int, cache: Path, progress: Track) -> RawSet:
    """The four idx files: from a folder of the user, Debian's package, or torchvision's download."""
    folders = [INSTALLED]
    if root := os.environ.get("REGROW_DATA"):
        folders.insert(0, Path(root) / "fashion-mnist")
    routes: list[Route[Files]] = [
        *((str(folder), partial(read_verified, folder, DIGESTS)) for folder in folders),
        ("apt-get", lambda: _from_debian(cache)),
        ("torchvision", lambda: from_torchvision("FashionMNIST", DIGESTS, cache)),
    ]
    return idx_set(fetch_idx("fashion-mnist", DIGESTS, routes, cache), DIGESTS, CLASSES, img_size, progress)


def _from_debian(cache: Path) -> Files:
    with debian_files(DEBIAN_PACKAGE, cache) as tree:
        return read_verified(tree / DEBIAN_FOLDER, DIGESTS)


FASHION_MNIST = ImageSet(
    name="fashion-mnist",
    what="photographs of clothes, 28 px grey",
    citation="Xiao, Rasul, Vollgraf: Fashion-MNIST, arXiv 1708.07747, 2017",
    licence="MIT",
    num_classes=10,
    train=60_000,
    test=10_000,
    polarity="light-on-dark",
    flip=True,
    metric="accuracy",
    build=build,
)
