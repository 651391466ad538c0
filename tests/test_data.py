"""Packing, loading, splitting. Nothing here downloads."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from regrow.data import SETS, ImageSet, Manifest, RawSet, load, pack, packing, write_images
from regrow.data.holdout import first_per_class, stratified
from regrow.data.manifest import read_manifest
from regrow.data.packing import write_packed
from regrow.data.progress import track
from regrow.errors import UserError


def raw_set(sizes: Sequence[int] = (30, 20, 10), test: int = 6, channels: int = 3) -> RawSet:
    """Random images, classes of the given sizes, the first `test` of each in the test split."""
    labels = np.repeat(np.arange(len(sizes)), sizes).astype(np.int64)
    position = np.concatenate([np.arange(size) for size in sizes])
    images = np.random.RandomState(0).randint(0, 256, (len(labels), 5, 5, channels)).astype(np.uint8)
    names = [f"class {label}" for label in range(len(sizes))]
    return RawSet(images=images, labels=labels, is_test=position < test, class_names=names, source=("made up",))


def described(raw: RawSet) -> ImageSet:
    """A registry entry that fits `raw`."""
    return dataclasses.replace(
        SETS["digits"],
        name="made-up",
        num_classes=len(raw.class_names),
        train=int((~raw.is_test).sum()),
        test=int(raw.is_test.sum()),
        build=lambda img_size, cache, progress: raw,
    )


def packed(out: Path, raw: RawSet | None = None, seed: int = 0, minival: float = 12) -> Manifest:
    raw = raw or raw_set()
    return write_packed(described(raw), raw, seed=seed, minival=minival, out=out)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


# ---- packing


def test_pack_is_the_same_byte_for_byte(tmp_path: Path) -> None:
    for out in ("once", "again"):
        pack("digits", 16, seed=3, minival=100, out=tmp_path / out, cache=tmp_path / "cache", progress=track)
    once = contents(tmp_path / "once")
    assert once == contents(tmp_path / "again")
    assert set(once) == {"images.npy", "labels.npy", "split.npy", "manifest.json"}


def test_the_seed_chooses_the_minival_and_never_the_test(tmp_path: Path) -> None:
    for seed in (0, 1):
        packed(tmp_path / str(seed), seed=seed)
    codes = [np.load(tmp_path / str(seed) / "split.npy") for seed in (0, 1)]
    assert not np.array_equal(*codes)
    assert np.array_equal(codes[0] == 2, codes[1] == 2)


def test_splits_are_disjoint_and_stratified(tmp_path: Path) -> None:
    raw = raw_set()
    manifest = packed(tmp_path, raw, minival=12)
    assert manifest.counts == {"train": 30, "minival": 12, "test": 18}
    whole = load(tmp_path)
    parts = {name: {image.tobytes() for image in whole.split(name).images} for name in manifest.counts}
    assert sum(len(images) for images in parts.values()) == len(set.union(*parts.values())) == 60
    assert parts["test"] == {image.tobytes() for image in raw.images[raw.is_test]}
    # 24, 14 and 4 training images: shares of 12 in 42 are 6.86, 4 and 1.14
    assert np.bincount(whole.split("minival").labels).tolist() == [7, 4, 1]


def test_a_share_held_out_is_that_share_of_the_training_images(tmp_path: Path) -> None:
    assert packed(tmp_path, minival=0.5).counts == {"train": 21, "minival": 21, "test": 18}


@pytest.mark.parametrize("minival", [-1, 42, 1.0, -0.1])
def test_a_minival_out_of_range_is_refused(tmp_path: Path, minival: float) -> None:
    with pytest.raises(UserError, match=r"minival: expected a number of images below 42 .* got "):
        packed(tmp_path, minival=minival)
    assert not list(tmp_path.iterdir())


def test_mean_and_std_are_those_of_the_train_split(tmp_path: Path) -> None:
    manifest = packed(tmp_path)
    pixels = load(tmp_path).split("train").images / 255
    assert manifest.mean == pytest.approx(pixels.mean(axis=(0, 1, 2)), abs=1e-12)
    assert manifest.std == pytest.approx(pixels.std(axis=(0, 1, 2)), abs=1e-12)


def test_the_manifest_describes_the_arrays(tmp_path: Path) -> None:
    manifest = packed(tmp_path, raw_set(channels=1))
    assert (manifest.img_size, manifest.channels, manifest.num_classes) == (5, 1, 3)
    assert manifest.class_names == ("class 0", "class 1", "class 2")
    for file, digest in manifest.sha256.items():
        assert hashlib.sha256((tmp_path / file).read_bytes()).hexdigest() == digest
    whole = load(tmp_path)
    assert whole.manifest == manifest
    assert (whole.images.dtype, whole.labels.dtype, whole.codes.dtype) == (np.uint8, np.int64, np.uint8)


def test_origins_are_kept_one_a_line(tmp_path: Path) -> None:
    raw = dataclasses.replace(raw_set(), origins=tuple(f"set:{i}|MIT" for i in range(60)))
    packed(tmp_path, raw)
    assert (tmp_path / "origins.txt").read_text().splitlines() == list(raw.origins)


def test_another_number_of_classes_is_refused(tmp_path: Path) -> None:
    raw = raw_set()
    four = dataclasses.replace(described(raw), num_classes=4)
    with pytest.raises(UserError, match=r"expected 4 classes, got 3, made from made up; install the versions"):
        write_packed(four, raw, seed=0, minival=5, out=tmp_path)


def test_another_number_of_images_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    raw = raw_set()
    packed(tmp_path, raw)
    assert not caplog.records
    more = dataclasses.replace(described(raw), train=43)
    write_packed(more, raw, seed=0, minival=5, out=tmp_path)
    assert "expected (43, 18) train and test images, got (42, 18)" in caplog.text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("digit", 8, 0), "did you mean 'digits'"),
        (("digits", 0, 0), "img_size: expected at least 1 pixel, got 0"),
        (("digits", 8, -1), "data seed: expected 0 to"),
    ],
    ids=["name", "size", "seed"],
)
def test_wrong_arguments_are_told(tmp_path: Path, arguments: tuple[str, int, int], message: str) -> None:
    with pytest.raises(UserError, match=message):
        pack(*arguments, minival=10, out=tmp_path / "out", cache=tmp_path)


# ---- what is not a whole pack


def test_a_changed_byte_is_found(tmp_path: Path) -> None:
    manifest = packed(tmp_path)
    for file, digest in manifest.sha256.items():
        good = (tmp_path / file).read_bytes()
        (tmp_path / file).write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
        message = rf"{file}: expected sha256 {digest}, got [0-9a-f]{{64}}; delete the folder and rerun"
        with pytest.raises(UserError, match=message):
            load(tmp_path)
        (tmp_path / file).write_bytes(good)
    load(tmp_path)


def test_a_missing_array_is_told(tmp_path: Path) -> None:
    packed(tmp_path)
    (tmp_path / "labels.npy").unlink()
    with pytest.raises(UserError, match=r"labels.npy: expected sha256 .* got no such file; delete the folder"):
        load(tmp_path)


def interrupted(content: Iterator[bytes]) -> Iterator[bytes]:
    """The first part, and no more."""
    yield next(content)
    raise KeyboardInterrupt


@pytest.mark.parametrize("finished_before", [False, True])
@pytest.mark.parametrize("stops_at", ["images.npy", "labels.npy", "split.npy", "manifest.json"])
def test_an_interrupted_pack_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stops_at: str, finished_before: bool
) -> None:
    if finished_before:
        packed(tmp_path, seed=1)
    write, parts = packing.write_bytes, write_images.write_parts

    def stop(path: Path, content: bytes) -> None:
        if path.name == stops_at:
            raise KeyboardInterrupt
        write(path, content)

    def stop_within(path: Path, content: Iterator[bytes]) -> None:
        parts(path, interrupted(content) if path.name == stops_at else content)

    monkeypatch.setattr(packing, "write_bytes", stop)
    monkeypatch.setattr(write_images, "write_parts", stop_within)
    with pytest.raises(KeyboardInterrupt):
        packed(tmp_path)
    with pytest.raises(UserError, match=r"manifest.json: no such file; .* delete the folder and rerun"):
        load(tmp_path)
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_a_foreign_manifest_is_told(tmp_path: Path) -> None:
    packed(tmp_path)
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    (tmp_path / "manifest.json").write_text(json.dumps({**manifest, "colour": 1}, indent=1))
    with pytest.raises(UserError, match=r"manifest.json: corrupt, or written by another version of regrow"):
        load(tmp_path)
    del manifest["licence"]
    (tmp_path / "manifest.json").write_text(json.dumps(manifest, indent=1))
    with pytest.raises(UserError, match=r"licence: Field required; delete the folder and rerun"):
        load(tmp_path)


def test_any_flipped_bit_of_the_manifest_is_told(tmp_path: Path) -> None:
    packed(tmp_path)
    path = tmp_path / "manifest.json"
    good = path.read_bytes()
    for bit in range(8 * len(good)):
        damaged = bytearray(good)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        with pytest.raises(UserError, match=r"manifest.json: (corrupt|expected a manifest)"):
            read_manifest(tmp_path)
    path.write_bytes(good)
    load(tmp_path)


# ---- choices by class


def test_a_few_a_class(tmp_path: Path) -> None:
    packed(tmp_path, minival=6)
    whole = load(tmp_path)
    two, three = whole.few_shot("train", 2, seed=7), whole.few_shot("train", 3, seed=7)
    assert np.bincount(three.labels).tolist() == [3, 3, 3]
    assert np.array_equal(three.images, whole.few_shot("train", 3, seed=7).images)
    assert not np.array_equal(three.images, whole.few_shot("train", 3, seed=8).images)
    inside = {image.tobytes() for image in three.images}
    assert {image.tobytes() for image in two.images} < inside
    assert inside <= {image.tobytes() for image in whole.split("train").images}


def test_too_many_a_class_is_told(tmp_path: Path) -> None:
    packed(tmp_path, minival=3)
    with pytest.raises(UserError, match=r"cannot keep 5 images a class: expected 1 to 4, all that class 2 has"):
        load(tmp_path).few_shot("train", 5, seed=0)


def test_an_unknown_split_is_told(tmp_path: Path) -> None:
    packed(tmp_path)
    with pytest.raises(UserError, match="split: expected one of train, minival, test, got 'val'"):
        load(tmp_path).split("val")  # type: ignore[arg-type]


@pytest.mark.parametrize("sizes", [(1, 1, 5), (100, 3, 3, 2), (7,) * 20, (1000, 1, 0, 10)])
def test_a_hold_out_has_the_size_asked_and_leaves_one_of_each_class(sizes: tuple[int, ...]) -> None:
    labels = np.random.RandomState(1).permutation(np.repeat(np.arange(len(sizes)), sizes)).astype(np.int64)
    most = sum(max(size - 1, 0) for size in sizes)
    for count in {0, 1, most // 2, most}:
        mask = stratified(labels, count, seed=0)
        assert mask.sum() == count
        assert np.array_equal(np.bincount(labels[~mask], minlength=len(sizes)) > 0, np.array(sizes) > 0)
    with pytest.raises(UserError, match=f"cannot hold out {most + 1} of"):
        stratified(labels, most + 1, seed=0)


def test_choices_are_pinned_to_the_seed() -> None:
    """A change of algorithm would silently change every study: these are numbers, not a second call."""
    labels = np.arange(40, dtype=np.int64) % 4
    assert np.flatnonzero(stratified(labels, 6, seed=0)).tolist() == [6, 11, 21, 22, 23, 24]
    assert first_per_class(labels, 2, 4, seed=0).tolist() == [7, 8, 10, 13, 14, 21, 27, 32]
