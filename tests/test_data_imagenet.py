from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from regrow.data import imagenet
from regrow.errors import UserError


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two classes in ImageNet's layout; one image is left red, right blue."""
    for split, count in (("train", 3), ("val", 1)):
        for name in ("n01", "n02"):
            folder = tmp_path / "imagenet-1k" / split / name
            folder.mkdir(parents=True)
            for index in range(count):
                wide = np.zeros((40, 60, 3), np.uint8)
                wide[:, :30, 0], wide[:, 30:, 2] = 255, 255
                Image.fromarray(wide).save(folder / f"{index}.png")
    monkeypatch.setenv("REGROW_DATA", str(tmp_path))
    monkeypatch.setattr(imagenet, "IMAGENET", dataclasses.replace(imagenet.IMAGENET, num_classes=2))
    return tmp_path / "imagenet-1k"


def build(folder: Path) -> object:
    return imagenet.build(16, folder, lambda items, label: iter(items))


def test_the_folder_layout_gives_labels_and_the_test_split(tiny: Path) -> None:
    raw = imagenet.build(16, tiny, lambda items, label: iter(items))
    assert raw.images.shape == (8, 16, 16, 3)
    assert raw.labels.tolist() == [0, 0, 0, 1, 1, 1, 0, 1]
    assert raw.is_test.tolist() == [False] * 6 + [True] * 2
    assert raw.class_names == ["n01", "n02"]
    assert raw.images[0, 8, 2].tolist() == [255, 0, 0], "the centre crop keeps left and right"
    assert raw.images[0, 8, 13].tolist() == [0, 0, 255]


def test_a_missing_folder_names_the_layout(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGROW_DATA", str(tiny / "elsewhere"))
    with pytest.raises(UserError, match=r"expected 2 class folders, found 0. Set REGROW_DATA .*train/<class>/\*.JPEG"):
        build(tiny)


def test_classes_that_differ_between_the_splits_are_refused(tiny: Path) -> None:
    (tiny / "val/n02").rename(tiny / "val/n03")
    with pytest.raises(UserError, match="train/ and val/ hold different classes"):
        build(tiny)
