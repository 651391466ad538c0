"""The papers' sets in folders of the user's: two or three images each, in the layout that was published."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import pickle
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat
from torchvision.datasets import CIFAR10, CIFAR100, Flowers102

from regrow.data import SETS, ImageSet
from regrow.data.image_set import Chunked, RawSet
from regrow.data.packed import load
from regrow.data.packing import write_packed
from regrow.errors import UserError

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)
Colour = tuple[int, int, int]
Layout = Callable[[Path, pytest.MonkeyPatch], None]


def photo(path: Path, colour: Colour) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (50, 40), colour).save(path, "PNG")  # PIL looks at the bytes, not at the name


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def cifar(root: Path, patch: pytest.MonkeyPatch) -> None:
    def file(path: Path, content: dict[str, object]) -> list[str]:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(pickle.dumps(content))
        return [path.name, hashlib.md5(path.read_bytes()).hexdigest()]

    def rows(*colours: Colour) -> np.ndarray:
        return np.stack([np.repeat(np.array(colour, np.uint8), 32 * 32) for colour in colours])

    for dataset, label, names in (
        (CIFAR10, "labels", ["label_names", "data_batch_1", "test_batch", "batches.meta"]),
        (CIFAR100, "fine_labels", ["fine_label_names", "train", "test", "meta"]),
    ):
        folder, (key, train, test, meta) = root / dataset.base_folder, names
        listed = file(folder / train, {"data": rows(RED, BLUE), label: [1, 0]})
        patch.setattr(dataset, "train_list", [listed])
        patch.setattr(dataset, "test_list", [file(folder / test, {"data": rows(GREEN), label: [1]})])
        name, md5 = file(folder / meta, {key: ["a", "b"]})
        patch.setattr(dataset, "meta", {"filename": name, "key": key, "md5": md5})


def flowers(root: Path, patch: pytest.MonkeyPatch) -> None:
    folder = root / "flowers-102"
    for image, colour in enumerate((GREEN, BLUE, RED, BLUE, RED, GREEN), start=1):
        photo(folder / f"jpg/image_{image:05d}.jpg", colour)
    savemat(folder / "imagelabels.mat", {"labels": [2, 1, 2, 1, 2, 2]})
    savemat(folder / "setid.mat", {"trnid": [3, 4], "valid": [2, 5], "tstid": [6, 1]})
    md5 = {name: hashlib.md5((folder / name).read_bytes()).hexdigest() for name in ("imagelabels.mat", "setid.mat")}
    known = {"label": ("imagelabels.mat", md5["imagelabels.mat"]), "setid": ("setid.mat", md5["setid.mat"])}
    patch.setattr(Flowers102, "_file_dict", known)


def cars(root: Path, patch: pytest.MonkeyPatch) -> None:
    folder = root / "stanford_cars"
    (folder / "devkit").mkdir(parents=True)

    def annotations(*rows: tuple[str, int]) -> dict[str, np.ndarray]:
        return {"annotations": np.array([list(rows)], dtype=[("fname", "O"), ("class", "O")])}

    savemat(folder / "devkit/cars_train_annos.mat", annotations(("1.jpg", 2), ("2.jpg", 1)))
    savemat(folder / "cars_test_annos_withlabels.mat", annotations(("1.jpg", 2), ("2.jpg", 2)))
    savemat(folder / "devkit/cars_meta.mat", {"class_names": np.array([["a", "b"]], dtype=object)})
    for place, colour in (("train/1", RED), ("train/2", BLUE), ("test/1", GREEN), ("test/2", GREEN)):
        photo(folder / f"cars_{place}.jpg", colour)


def pets(root: Path, patch: pytest.MonkeyPatch) -> None:
    folder = root / "oxford-iiit-pet"
    for name, colour in (("beagle_1", RED), ("Abyssinian_1", BLUE), ("beagle_2", GREEN), ("Abyssinian_2", BLUE)):
        photo(folder / f"images/{name}.jpg", colour)
    write(folder / "annotations/trainval.txt", "beagle_1 2 2 1\nAbyssinian_1 1 1 1\n")
    write(folder / "annotations/test.txt", "beagle_2 2 2 1\nAbyssinian_2 1 1 1\n")


def food(root: Path, patch: pytest.MonkeyPatch) -> None:
    folder = root / "food-101"
    for place, colour in (("pie/1", RED), ("cake/1", BLUE), ("pie/2", GREEN), ("cake/2", BLUE)):
        photo(folder / f"images/{place}.jpg", colour)
    write(folder / "meta/train.json", json.dumps({"pie": ["pie/1"], "cake": ["cake/1"]}))
    write(folder / "meta/test.json", json.dumps({"pie": ["pie/2"], "cake": ["cake/2"]}))


def inat(year: int) -> Layout:
    def layout(root: Path, patch: pytest.MonkeyPatch) -> None:
        folder, categories = root / f"inat-{year}", [{"id": 1, "name": "b"}, {"id": 0, "name": "a"}]
        for part, images in (("train", [(7, 1, RED), (5, 0, BLUE)]), ("val", [(9, 1, GREEN)])):
            files = {image: f"train_val{year}/Birds/{label}/{image}.jpg" for image, label, _ in images}
            for image, _, colour in images:
                photo(folder / files[image], colour)
            content = {
                "images": [{"id": image, "file_name": file} for image, file in files.items()],
                "annotations": [{"image_id": image, "category_id": label} for image, label, _ in reversed(images)],
                "categories": categories,
            }
            write(folder / f"{part}{year}.json", json.dumps(content))

    return layout


def tiny_imagenet(root: Path, patch: pytest.MonkeyPatch) -> None:
    folder = root / "tiny-imagenet-200"
    write(folder / "wnids.txt", "n2\nn1\n")
    write(folder / "val/val_annotations.txt", "val_0.JPEG\tn2\t0\t0\t9\t9\n")
    for place, colour in (("train/n2/images/a", RED), ("train/n1/images/a", BLUE), ("val/images/val_0", GREEN)):
        photo(folder / f"{place}.JPEG", colour)


def mini_imagenet(root: Path, patch: pytest.MonkeyPatch) -> None:
    folder = root / "mini-imagenet"
    for part, name, colour in (("train", "n2", RED), ("val", "n1", BLUE), ("test", "n3", GREEN)):
        rows = [f"{name}_{image}.jpg" for image in range(4)]
        write(folder / f"{part}.csv", "".join(["filename,label\n", *(f"{row},{name}\n" for row in rows)]))
        for row in rows:
            photo(folder / "images" / row, colour)


def cub(root: Path, patch: pytest.MonkeyPatch) -> None:
    folder = root / "CUB_200_2011"
    write(folder / "images.txt", "1 002.b/x.jpg\n2 002.b/y z.jpg\n3 001.a/x.jpg\n")
    write(folder / "image_class_labels.txt", "1 2\n2 2\n3 1\n")
    write(folder / "train_test_split.txt", "1 1\n2 0\n3 1\n")
    write(folder / "classes.txt", "1 001.a\n2 002.b\n")
    for place, colour in (("002.b/x", RED), ("002.b/y z", GREEN), ("001.a/x", BLUE)):
        photo(folder / f"images/{place}.jpg", colour)


def chest(root: Path, patch: pytest.MonkeyPatch) -> None:
    folder, findings = root / "chestx-ray8", ["Mass"] * 4 + ["Nodule"] * 4 + ["Mass|Nodule", "No Finding", "Hernia"]
    rows = [f"{image}.png,{finding},0" for image, finding in enumerate(findings)]
    write(folder / "Data_Entry_2017.csv", "\n".join(["Image Index,Finding Labels,Follow-up #", *rows, ""]))
    for image, finding in enumerate(findings):
        photo(folder / f"images_00{1 + image % 2}/images/{image}.png", RED if finding == "Mass" else BLUE)


TRAINED = {RED: 1, BLUE: 0}
"""Colour and label of the training images; a test image is green, of label 1, where the split is published."""
LAYOUTS: dict[str, tuple[Layout, tuple[int, int]]] = {
    "cifar-10": (cifar, (2, 1)),
    "cifar-100": (cifar, (2, 1)),
    "flowers-102": (flowers, (4, 2)),
    "stanford-cars": (cars, (2, 2)),
    "pets": (pets, (2, 2)),
    "food-101": (food, (2, 2)),
    "inat-2018": (inat(2018), (2, 1)),
    "inat-2019": (inat(2019), (2, 1)),
    "tiny-imagenet": (tiny_imagenet, (2, 1)),
    "mini-imagenet": (mini_imagenet, (9, 3)),
    "cub-200": (cub, (2, 1)),
    "chestx-ray8": (chest, (6, 2)),
}
UNSPLIT = {"mini-imagenet": {RED: 1, BLUE: 0, GREEN: 2}, "chestx-ray8": {RED: 4, BLUE: 5}}
"""The sets whose test is drawn here, from every class."""


@pytest.fixture
def small(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ImageSet:
    """The set with the counts of its tiny folder, which lies below $REGROW_DATA."""
    real = SETS[request.param]
    module = sys.modules[real.build.__module__]
    layout, (train, test) = LAYOUTS[real.name]
    layout(tmp_path, monkeypatch)
    monkeypatch.setenv("REGROW_DATA", str(tmp_path))
    small = dataclasses.replace(real, train=train, test=test)
    [constant] = [name for name, value in vars(module).items() if value is real]
    monkeypatch.setattr(module, constant, small)
    return small


every_set = pytest.mark.parametrize("small", LAYOUTS, indirect=True)


def build(image_set: ImageSet, size: int = 8) -> RawSet:
    return image_set.build(size, Path("no-cache"), lambda items, label: iter(items))


def colours(raw: RawSet) -> list[Colour]:
    """Of every image; each is of one colour."""
    assert isinstance(raw.images, Chunked)
    images = np.concatenate(list(raw.images.chunks()))
    assert images.shape == raw.images.shape
    assert (images == images[:, :1, :1]).all()
    return [(int(r), int(g), int(b)) for r, g, b in images[:, 0, 0]]


@every_set
def test_the_published_layout_gives_images_labels_and_split(small: ImageSet) -> None:
    raw = build(small)
    found = list(zip(colours(raw), raw.labels.tolist(), strict=True))
    assert raw.is_test.tolist() == [False] * small.train + [True] * small.test
    train, test = set(found[: small.train]), set(found[small.train :])
    if small.name in UNSPLIT:
        assert train == test == set(UNSPLIT[small.name].items())
    else:
        assert train == set(TRAINED.items())
        assert test - train == {(GREEN, 1)}


@every_set
def test_a_missing_folder_says_what_to_expect_and_where_to_get_it(
    small: ImageSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REGROW_DATA", str(tmp_path / "elsewhere"))
    message = (
        rf"^{tmp_path}/elsewhere/[\w-]+: no such folder. Expected .*/ with .*, as published; .* Get it from .+, and"
    )
    with pytest.raises(UserError, match=message):
        build(small)


@every_set
def test_an_image_that_is_listed_and_not_there_is_named(small: ImageSet, tmp_path: Path) -> None:
    if small.name.startswith("cifar"):
        file = next(tmp_path.glob("cifar-10*/test*" if small.name == "cifar-10" else "cifar-100*/test*"))
        file.write_bytes(file.read_bytes() + b"x")
        with pytest.raises(UserError, match="RuntimeError: Dataset not found or corrupted"):
            build(small)
        return
    one = sorted(tmp_path.rglob("*.[jJp][pPn]*[gG]"))[0]
    one.unlink()
    expected = rf"1 of \d+ images are not there, for instance .*/{one.name}"
    if small.name == "tiny-imagenet":  # its folders are the list
        expected = "expected 2 training and 1 test images, found 1 and 1"
    with pytest.raises(UserError, match=rf"{expected}. Expected .*/ with"):
        build(small)


@every_set
def test_a_missing_list_is_named(small: ImageSet, tmp_path: Path) -> None:
    lists = [path for path in tmp_path.rglob("*") if path.suffix in {".txt", ".csv", ".json", ".mat", ".meta"}]
    lists += [path for path in tmp_path.rglob("meta") if path.is_file()]
    for path in lists:
        path.unlink()
    with pytest.raises(UserError, match=r"(Error|corrupted).*\. Expected .*/ with .*, as published"):
        build(small)


@pytest.mark.parametrize("small", ["food-101"], indirect=True)
def test_other_counts_than_published_are_told(small: ImageSet, tmp_path: Path) -> None:
    write(tmp_path / "food-101/meta/test.json", json.dumps({"cake": ["cake/2"], "pie": []}))
    with pytest.raises(UserError, match=r"expected 2 training and 2 test images, found 2 and 1. Expected food-101/"):
        build(small)


@pytest.mark.parametrize("small", ["food-101"], indirect=True)
def test_a_set_that_is_made_while_it_is_written_packs_as_one_in_memory(small: ImageSet, tmp_path: Path) -> None:
    raw, two = build(small), dataclasses.replace(small, num_classes=2)
    assert isinstance(raw.images, Chunked)
    in_memory = dataclasses.replace(raw, images=np.concatenate(list(raw.images.chunks())))
    for name, made in (("chunked", raw), ("whole", in_memory)):
        write_packed(two, made, seed=0, minival=0, out=tmp_path / name)
    for file in ("images.npy", "manifest.json"):
        assert (tmp_path / "chunked" / file).read_bytes() == (tmp_path / "whole" / file).read_bytes()
    images = load(tmp_path / "chunked").images
    assert np.array_equal(images, in_memory.images)


def test_cifars_whole_image_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At 32 px the published pixels, to the last row."""
    cifar(tmp_path, monkeypatch)
    monkeypatch.setenv("REGROW_DATA", str(tmp_path))
    pixels = np.random.RandomState(0).randint(0, 256, (1, 3 * 32 * 32)).astype(np.uint8)
    test = tmp_path / "cifar-10-batches-py/test_batch"
    test.write_bytes(pickle.dumps({"data": pixels, "labels": [1]}))
    monkeypatch.setattr(CIFAR10, "test_list", [[test.name, hashlib.md5(test.read_bytes()).hexdigest()]])
    raw = build(SETS["cifar-10"], 32)
    assert isinstance(raw.images, Chunked)
    last = np.concatenate(list(raw.images.chunks()))[-1]
    assert np.array_equal(last.transpose(2, 0, 1).ravel(), pixels[0])
