"""The 8 px digits that ship inside scikit-learn: no download, for the smoke study."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from regrow.data.holdout import stratified
from regrow.data.image_set import ImageSet, RawSet, Track
from regrow.data.resize import to_size

TEST_IMAGES = 360
TEST_SEED = 0  # of the data set, not of the study: every study is scored on the same images
INK = 16  # the largest value of a pixel in scikit-learn's copy


def build(img_size: int, cache: Path, progress: Track) -> RawSet:
    """scikit-learn's 1,797 images, split here because it ships them in one piece."""
    import sklearn
    from sklearn.datasets import load_digits

    digits = load_digits()
    native = np.rint(digits.images * 255 / INK).astype(np.uint8)[..., None]
    labels = digits.target.astype(np.int64)
    images, resizer = to_size(native, img_size, "box", progress)
    digest = hashlib.sha256(native.tobytes() + labels.tobytes()).hexdigest()
    return RawSet(
        images=images,
        labels=labels,
        is_test=stratified(labels, TEST_IMAGES, TEST_SEED),
        class_names=[str(digit) for digit in range(10)],
        source=(f"scikit-learn {sklearn.__version__} digits sha256:{digest}", *resizer),
    )


DIGITS = ImageSet(
    name="digits",
    what="handwritten digits, 8 px grey",
    citation="Kaynak 1995; the test part of UCI's Optical Recognition of Handwritten Digits",
    licence="CC-BY-4.0",
    num_classes=10,
    train=1_437,
    test=TEST_IMAGES,
    polarity="light-on-dark",
    flip=False,
    metric="accuracy",
    build=build,
)
