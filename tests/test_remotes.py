"""Weights and data through DVC's remotes: real servers, one run alone, and objects that are missing or damaged."""

from __future__ import annotations

import hashlib
import json
import shutil
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from conftest import ROOT
from dvc_checkout import RESULTS, Checkout
from remote_servers import SSHD, http_server, s3_server, ssh_server

pytestmark = pytest.mark.workflow

MANGO, SCRATCH = (f"{RESULTS}/weights/target/{arm}_s0.safetensors" for arm in ("mango", "scratch"))


def remade(checkout: Checkout, folder: Path) -> Checkout:
    """A git clone without any remote of its own."""
    checkout.run("git", "clone", "-q", ".", str(folder))
    return Checkout(folder, folder.parent / "site")


def travels(server: AbstractContextManager[dict[str, str]], tracked: Checkout, tmp_path: Path) -> None:
    """What one checkout pushes another one pulls, byte for byte."""
    sender, receiver = tracked.copy(tmp_path / "sender"), remade(tracked, tmp_path / "receiver")
    with server as options:
        for checkout in (sender, receiver):
            checkout.default_remote(**options)
        assert "pushed" in sender.dvc("push")
        assert "up to date" in sender.dvc("push")
        receiver.dvc("pull", MANGO)
        assert [path.name for path in receiver.folder.glob(f"{RESULTS}/weights/*/*")] == ["mango_s0.safetensors"]
        receiver.dvc("pull")
    made = list(tracked.folder.glob(f"{RESULTS}/weights/*/*"))
    assert len(made) == 7
    for path in made:
        assert (receiver.folder / path.relative_to(tracked.folder)).read_bytes() == path.read_bytes()
    assert "up to date" in receiver.dvc("status")


@pytest.mark.skipif(SSHD is None, reason="no sshd (Debian: openssh-server)")
def test_ssh(tracked: Checkout, tmp_path: Path) -> None:
    folder = tmp_path / "sshd"
    folder.mkdir()
    travels(ssh_server(folder), tracked, tmp_path)
    assert list((folder / "kept/files/md5").glob("*/*.dir"))


def test_s3(tracked: Checkout, tmp_path: Path) -> None:
    folder = tmp_path / "s3"
    folder.mkdir()
    travels(s3_server(folder), tracked, tmp_path)


def test_http_serves_what_a_folder_remote_holds(tracked: Checkout, storage: Path, tmp_path: Path) -> None:
    reader = remade(tracked, tmp_path / "reader")
    with http_server(storage) as url:
        reader.default_remote(url)
        reader.dvc("pull", MANGO)
    assert (reader.folder / MANGO).read_bytes() == (tracked.folder / MANGO).read_bytes()


def test_the_committed_remote_is_a_folder_beside_the_repository_and_verifies() -> None:
    text = (ROOT / ".dvc/config").read_text()
    assert "remote = local" in text
    assert "url = storage" in text
    assert "verify = true" in text


def stored(storage: Path, path: Path) -> Path:
    """Where a folder remote keeps a file's bytes."""
    digest = hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
    return storage / "files/md5" / digest[:2] / digest[2:]


def test_a_missing_or_damaged_object_is_named_and_overwrites_nothing(
    tracked: Checkout, storage: Path, tmp_path: Path
) -> None:
    remote = shutil.copytree(storage, tmp_path / "remote")
    missing, damaged = stored(remote, tracked.folder / SCRATCH), stored(remote, tracked.folder / MANGO)
    missing.unlink()
    content = damaged.read_bytes()
    damaged.chmod(0o644)
    damaged.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    reader = tracked.clone(tmp_path / "reader", remote)
    mine = reader.folder / MANGO
    mine.parent.mkdir(parents=True)
    mine.write_bytes(b"weights of my own")
    reader.dvc("pull", check=False)
    assert mine.read_bytes() == b"weights of my own"
    assert not stored(reader.folder / ".dvc/cache", tracked.folder / MANGO).exists()
    status = reader.dvc("data", "status", "--granular", "--json")
    named = json.loads(status[status.index("{") :])["not_in_cache"]
    assert [path for path in named if not path.endswith("/")] == [MANGO, SCRATCH]
    damaged.write_bytes(content)
    shutil.copy(tracked.folder / SCRATCH, missing)
    reader.dvc("pull", "--force")
    assert mine.read_bytes() == content
