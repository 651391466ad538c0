"""ImageNet-1K by folder and by WebDataset shards, on two classes in the same layout."""

from __future__ import annotations

import dataclasses
import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from regrow.data import imagenet
from regrow.data.image_set import Chunked, Pixels, RawSet
from regrow.errors import UserError


def drawn() -> Image.Image:
    """60 x 40 pixels; left red, right blue."""
    wide = np.zeros((40, 60, 3), np.uint8)
    wide[:, :30, 0], wide[:, 30:, 2] = 255, 255
    return Image.fromarray(wide)


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("REGROW_DATA", str(tmp_path))
    small = dataclasses.replace(imagenet.IMAGENET, num_classes=2, train=6, test=2)
    monkeypatch.setattr(imagenet, "IMAGENET", small)
    return tmp_path / "imagenet-1k"


@pytest.fixture
def folders(tiny: Path) -> Path:
    for split, count in (("train", 3), ("val", 1)):
        for name in ("n01", "n02"):
            folder = tiny / split / name
            folder.mkdir(parents=True)
            for index in range(count):
                drawn().save(folder / f"{index}.png")
    return tiny


@pytest.fixture
def shards(tiny: Path) -> Path:
    """Two training shards and one of validation, each image with its label and a sidecar."""
    tiny.mkdir()
    labels = {
        "in1k-train-0000": [1, 0, 1],
        "in1k-train-0001": [0, 0, 1],
        "in1k-validation-00": [1, 0],
    }
    encoded = io.BytesIO()
    drawn().save(encoded, "PNG")
    for shard, values in labels.items():
        files = {}
        for index, label in enumerate(values):
            key = f"./part.a/{shard}_{index}"
            files |= {f"{key}.cls": str(label).encode(), f"{key}.png": encoded.getvalue(), f"{key}.json": b"{}"}
        write_shard(tiny / f"{shard}.tar", files)
    return tiny


def write_shard(path: Path, files: dict[str, bytes]) -> None:
    with tarfile.open(path, "w") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))


def build() -> RawSet:
    return imagenet.build(16, Path("no-cache"), lambda items, label: iter(items))


def decoded(raw: RawSet) -> Pixels:
    assert isinstance(raw.images, Chunked)
    images = np.concatenate(list(raw.images.chunks()))
    assert images.shape == raw.images.shape
    return images


def test_class_folders_give_labels_and_the_test_split(folders: Path) -> None:
    raw = build()
    images = decoded(raw)
    assert images.shape == (8, 16, 16, 3)
    assert raw.labels.tolist() == [0, 0, 0, 1, 1, 1, 0, 1]
    assert raw.is_test.tolist() == [False] * 6 + [True] * 2
    assert raw.class_names == ["n01", "n02"]
    assert images[0, 8, 2].tolist() == [255, 0, 0], "the centre crop keeps left and right"
    assert images[0, 8, 13].tolist() == [0, 0, 255]


def test_shards_hold_the_same_images_with_their_own_labels(shards: Path, tmp_path: Path) -> None:
    raw = build()
    assert raw.labels.tolist() == [1, 0, 1, 0, 0, 1, 1, 0]
    assert raw.is_test.tolist() == [False] * 6 + [True] * 2
    assert raw.class_names == ["0", "1"]
    for image in decoded(raw):
        assert np.array_equal(image[8, [2, 13]], [[255, 0, 0], [0, 0, 255]])


def test_a_missing_folder_names_it_the_layout_and_the_page(tiny: Path) -> None:
    message = (
        rf"{tiny}: no such folder. Expected imagenet-1k/ with train/<class>/\*.JPEG .*, as published; "
        r"regrow does not download it. Get it from image-net.org, and set REGROW_DATA"
    )
    with pytest.raises(UserError, match=message):
        build()


def test_a_missing_split_and_other_classes_are_told(folders: Path) -> None:
    (folders / "val/n02").rename(folders / "val/n03")
    with pytest.raises(UserError, match="train/ and val/ hold different classes"):
        build()
    (folders / "val").rename(folders / "valid")
    with pytest.raises(UserError, match=r"val: expected 2 class folders, found 0. Expected imagenet-1k/"):
        build()


def test_an_incomplete_class_is_told(folders: Path) -> None:
    (folders / "train/n01/1.png").unlink()
    with pytest.raises(UserError, match=r"expected 6 training and 2 test images, found 5 and 2. Expected imagenet-1k/"):
        build()


def test_missing_shards_are_told(shards: Path) -> None:
    (shards / "in1k-validation-00.tar").unlink()
    with pytest.raises(UserError, match="expected 6 training and 2 test images, found 6 and 0"):
        build()


def test_a_shard_that_is_cut_off_or_misses_a_label_is_told(shards: Path) -> None:
    shard = shards / "in1k-train-0001.tar"
    shard.write_bytes(shard.read_bytes()[:700])
    with pytest.raises(UserError, match=r"ValueError: .*in1k-train-0001.tar: unexpected end of data. Expected"):
        build()
    write_shard(shard, {"a.png": b"", "b.cls": b"0", "b.png": b""})
    with pytest.raises(UserError, match=r"train-0001.tar: a has not both an image and a .cls"):
        build()


def test_an_image_that_cannot_be_read_is_named(folders: Path) -> None:
    (folders / "train/n02/1.png").write_bytes(b"half an image")
    with pytest.raises(UserError, match=r"train/n02/1.png: not an image that PIL reads"):
        decoded(build())
