"""ELPV: electroluminescence photographs of solar cells, functional or defective."""

from __future__ import annotations

import hashlib
import importlib.util
import io
from pathlib import Path

import numpy as np

from regrow.data.holdout import stratified
from regrow.data.image_set import ImageSet, RawSet, Track
from regrow.data.resize import to_size
from regrow.errors import UserError

RELEASE = "elpv-dataset==1.0.0.post1"
DIGEST = "78ce8c6eb2b8fb03e9d864c92380dde91c030f2a7ee99f72186a42e27ad20ad0"
NATIVE_SIZE = 300
TEST_SHARE = 0.3
TEST_SEED = 0  # of the data set, not of the study: every study is scored on the same images


def build(img_size: int, cache: Path, progress: Track) -> RawSet:
    """The package's images; a cell is defective from a probability of 1/2, as its authors' experts judged."""
    from PIL import Image

    table = _package_folder() / "data" / "labels.csv"
    hasher = hashlib.sha256(table.read_bytes())
    rows = [line.split() for line in table.read_text().splitlines()]
    cells = np.empty((len(rows), NATIVE_SIZE, NATIVE_SIZE, 1), np.uint8)
    for cell, (file, _, _) in zip(cells, progress(rows, "read elpv"), strict=True):
        content = (table.parent / file).read_bytes()
        hasher.update(content)
        with Image.open(io.BytesIO(content)) as image:
            cell[..., 0] = np.asarray(image.convert("L"))
    if (got := hasher.hexdigest()) != DIGEST:
        raise UserError(
            f"{table.parent}: expected sha256 {DIGEST} over labels and images, got {got}; "
            f"`pip install --force-reinstall {RELEASE}`"
        )
    labels = np.array([float(probability) >= 0.5 for _, probability, _ in rows], np.int64)
    images, resizer = to_size(cells, img_size, "bicubic", progress)
    return RawSet(
        images=images,
        labels=labels,
        is_test=stratified(labels, round(TEST_SHARE * len(labels)), TEST_SEED),
        class_names=["functional", "defective"],
        source=(f"pip:{RELEASE} sha256:{DIGEST}", *resizer),
    )


def _package_folder() -> Path:
    """Where the package lies; it is not imported, only its files are read."""
    spec = importlib.util.find_spec("elpv_dataset")
    if spec is None or spec.origin is None:
        raise UserError(
            f"elpv: expected the optional package {RELEASE} (91 MB, CC-BY-NC-SA-4.0), "
            f"got no such package; `pip install --no-deps {RELEASE}`"
        )
    return Path(spec.origin).parent


ELPV = ImageSet(
    name="elpv",
    what="photographs of solar cells, 300 px grey, functional or defective",
    citation="Buerhop-Lutz et al.: A benchmark for visual identification of defective solar cells, 2018",
    licence="CC-BY-NC-SA-4.0",
    num_classes=2,
    train=1_837,
    test=787,
    polarity="light-on-dark",
    flip=True,
    metric="balanced_accuracy",
    build=build,
)
