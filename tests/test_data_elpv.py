"""ELPV: where its package comes from, in which order, and what is read of it. No network is used."""

from __future__ import annotations

import dataclasses
import io
import logging
import re
import sys
import zipfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from package_clients import Machine, bare_machine, kept, sha
from regrow.data import SETS, elpv
from regrow.data.cache import open_cache
from regrow.data.pip import downloaded
from regrow.data.progress import track
from regrow.errors import UserError


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    return bare_machine(tmp_path, monkeypatch)


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return open_cache(tmp_path / "cache")


@pytest.fixture
def cells(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """A machine whose package index holds ELPV's wheel, of 20 cells; its python knows pip, and there is uv."""
    probabilities = [0.0, 0.3333333333333333, 0.6666666666666666, 1.0] * 5
    files = {"labels.csv": "".join(f"images/{cell}.png  {p}  mono\n" for cell, p in enumerate(probabilities)).encode()}
    for cell in range(len(probabilities)):
        buffer = io.BytesIO()
        Image.fromarray(np.full((300, 300), cell, np.uint8)).save(buffer, "png")
        files[f"images/{cell}.png"] = buffer.getvalue()
    wheel = machine.stock / elpv.WHEEL.file
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, content in files.items():
            archive.writestr(f"elpv_dataset/data/{name}", content)
    monkeypatch.setattr(elpv, "WHEEL", dataclasses.replace(elpv.WHEEL, sha256=sha(wheel.read_bytes())))
    monkeypatch.setattr(elpv, "DIGEST", sha(b"".join(files.values())))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name if name == "pip" else None)
    monkeypatch.setattr(sys, "executable", str(machine.programs / "python"))
    for program in ("python", "uv"):
        machine.program(program, f'cp "$STOCK/{elpv.WHEEL.file}" .')
    return machine


def installed(cells: Machine, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The package in the environment; its folder of data."""
    with zipfile.ZipFile(cells.stock / elpv.WHEEL.file) as archive:
        archive.extractall(cells.stock / "site")
    origin = str(cells.stock / "site/elpv_dataset/__init__.py")
    found = {"elpv_dataset": SimpleNamespace(origin=origin), "pip": SimpleNamespace()}
    monkeypatch.setattr("importlib.util.find_spec", found.get)
    return Path(origin).parent / "data"


def assert_cells(cache: Path) -> None:
    found = SETS["elpv"].build(32, cache, track)
    assert found.images.shape == (20, 32, 32, 1)
    assert found.images[:, 0, 0, 0].tolist() == list(range(20))
    assert found.labels.tolist() == [0, 0, 1, 1] * 5
    assert np.bincount(found.labels[found.is_test]).tolist() == [3, 3]
    assert found.source[0] == f"pip:elpv-dataset==1.0.0.post1 sha256:{elpv.DIGEST}"


def test_elpv_is_fetched_by_pip_once(cells: Machine, cache: Path) -> None:
    assert_cells(cache)
    assert_cells(cache)
    download = "download --no-deps --only-binary :all: elpv-dataset==1.0.0.post1"
    assert cells.calls() == [f"python -m pip {download}"]
    assert kept(cache) == ["elpv_dataset-1.0.0.post1-py3-none-any.whl"]


def test_elpv_comes_from_the_cache_else_the_installed_package(
    cells: Machine, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (cache / elpv.WHEEL.file).write_bytes((cells.stock / elpv.WHEEL.file).read_bytes())
    data = installed(cells, monkeypatch)
    (data / "images/0.png").unlink()
    assert_cells(cache)
    with zipfile.ZipFile(cells.stock / elpv.WHEEL.file) as archive:
        (data / "images/0.png").write_bytes(archive.read("elpv_dataset/data/images/0.png"))
    assert_cells(open_cache(tmp_path / "other"))
    assert cells.calls() == []


def test_elpv_is_fetched_by_uv_where_there_is_no_pip(
    cells: Machine, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert_cells(cache)
    assert [call.split()[:5] for call in cells.calls()] == [["uv", "tool", "run", "pip", "download"]]


@pytest.mark.parametrize("damage", ["changed", "missing"])
def test_a_bad_installed_elpv_is_told_and_passed_over(
    cells: Machine, cache: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, damage: str
) -> None:
    caplog.set_level(logging.WARNING)
    file = installed(cells, monkeypatch) / "images/7.png"
    reason = r"expected sha256 \w+ over labels and images, got \w+$"
    if damage == "changed":
        file.write_bytes(file.read_bytes() + b"\n")
    else:
        file.unlink()
        reason = r"not whole: .*7\.png"
    assert_cells(cache)
    [said] = [record.message for record in caplog.records]
    assert re.search(rf"^elpv: .*: installed package: {file.parents[1]}: {reason}", said)
    assert len(cells.calls()) == 1


def test_a_wrong_wheel_of_elpv_is_never_kept_and_every_way_is_told(
    cells: Machine, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = elpv.WHEEL.sha256
    (cells.stock / elpv.WHEEL.file).write_bytes(b"other")
    (cells.programs / "uv").unlink()
    with pytest.raises(UserError) as caught:
        SETS["elpv"].build(32, cache, track)
    assert str(caught.value).splitlines() == [
        "elpv: elpv-dataset==1.0.0.post1 (91 MB, CC-BY-NC-SA-4.0): expected to get it in one of 4 ways, but",
        f"  cache: {cache / elpv.WHEEL.file}: no such file",
        "  installed package: not installed",
        f"  pip: {elpv.WHEEL.file}: expected sha256 {right}, got {sha(b'other')}",
        "  uv: uv is not installed",
        f"install pip or uv, or put {elpv.WHEEL.file} into {cache}",
    ]
    assert kept(cache) == []


def test_a_second_process_that_waited_fetches_nothing(cells: Machine, cache: Path) -> None:
    (cache / elpv.WHEEL.file).write_bytes((cells.stock / elpv.WHEEL.file).read_bytes())
    assert downloaded(elpv.WHEEL, cache, ["uv"]) == cache / elpv.WHEEL.file
    assert cells.calls() == []


def test_a_bad_wheel_in_the_cache_is_fetched_anew(cells: Machine, cache: Path) -> None:
    (cache / elpv.WHEEL.file).write_bytes(b"half")
    assert_cells(cache)
    assert sha((cache / elpv.WHEEL.file).read_bytes()) == elpv.WHEEL.sha256
