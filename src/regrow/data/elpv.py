"""ELPV: electroluminescence photographs of solar cells, functional or defective."""

from __future__ import annotations

import hashlib
import importlib.util
import io
import zipfile
from importlib.resources.abc import Traversable
from pathlib import Path

import numpy as np

from regrow.data.holdout import stratified
from regrow.data.image_set import ImageSet, RawSet, Track
from regrow.data.pip import Wheel, downloaded, kept, own_pip, pip_of_uv
from regrow.data.resize import to_size
from regrow.data.routes import NotThere, RouteFailed, first_that_works

WHEEL = Wheel("elpv-dataset", "1.0.0.post1", "85e31c1126ee9b48e62d3a0232c58f58b2d189b0814a45c13642fa0415af4a4c")
DIGEST = "78ce8c6eb2b8fb03e9d864c92380dde91c030f2a7ee99f72186a42e27ad20ad0"
NATIVE_SIZE = 300
TEST_SHARE = 0.3
TEST_SEED = 0  # of the data set, not of the study: every study is scored on the same images

Cells = list[tuple[bytes, float]]
"""Of every cell the PNG and the probability that it is defective."""


def build(img_size: int, cache: Path, progress: Track) -> RawSet:
    """The package's images; a cell is defective from a probability of 1/2, as its authors' experts judged."""
    from PIL import Image

    found = first_that_works(
        f"elpv: {WHEEL.release} (91 MB, CC-BY-NC-SA-4.0)",
        [
            ("cache", lambda: _of_wheel(kept(WHEEL, cache))),
            ("installed package", _of_package),
            ("pip", lambda: _of_wheel(downloaded(WHEEL, cache, own_pip()))),
            ("uv", lambda: _of_wheel(downloaded(WHEEL, cache, pip_of_uv()))),
        ],
        cure=f"install pip or uv, or put {WHEEL.file} into {cache}",
    )
    cells = np.empty((len(found), NATIVE_SIZE, NATIVE_SIZE, 1), np.uint8)
    for cell, (content, _) in zip(cells, progress(found, "read elpv"), strict=True):
        with Image.open(io.BytesIO(content)) as image:
            cell[..., 0] = np.asarray(image.convert("L"))
    labels = np.array([probability >= 0.5 for _, probability in found], np.int64)
    images, resizer = to_size(cells, img_size, "bicubic", progress)
    return RawSet(
        images=images,
        labels=labels,
        is_test=stratified(labels, round(TEST_SHARE * len(labels)), TEST_SEED),
        class_names=["functional", "defective"],
        source=(f"pip:{WHEEL.release} sha256:{DIGEST}", *resizer),
    )


def _of_wheel(path: Path) -> Cells:
    """Read where it lies: nothing is installed or unpacked."""
    with zipfile.ZipFile(path) as archive:
        return _read(zipfile.Path(archive, "elpv_dataset/data/"))


def _of_package() -> Cells:
    """The package is not imported, only its files are read."""
    spec = importlib.util.find_spec("elpv_dataset")
    if spec is None or spec.origin is None:
        raise NotThere("not installed")
    return _read(Path(spec.origin).parent / "data")


def _read(folder: Traversable) -> Cells:
    """The files of labels.csv, verified with it by one digest, whatever brought them."""
    try:
        table = (folder / "labels.csv").read_bytes()
        rows = [line.split() for line in table.decode().splitlines()]
        contents = [(folder / file).read_bytes() for file, _, _ in rows]
    except (OSError, KeyError, ValueError) as error:
        raise RouteFailed(f"{folder}: not whole: {error}") from error
    hasher = hashlib.sha256(table)
    for content in contents:
        hasher.update(content)
    if (got := hasher.hexdigest()) != DIGEST:
        raise RouteFailed(f"{folder}: expected sha256 {DIGEST} over labels and images, got {got}")
    return [(content, float(probability)) for content, (_, probability, _) in zip(contents, rows, strict=True)]


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
