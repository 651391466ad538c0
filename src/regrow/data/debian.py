"""Files of a Debian package, without root: downloaded by apt-get, unpacked by dpkg-deb, nothing installed."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from regrow.data.routes import RouteFailed, command


@contextmanager
def debian_files(package: str, cache: Path) -> Iterator[Path]:
    """The tree of the newest `package`, for as long as the block lasts. The caller verifies the files."""
    with tempfile.TemporaryDirectory(dir=cache, prefix=f".{package}-") as scratch:
        folder = Path(scratch)
        try:
            command(["apt-get", "download", package], folder)
        except RouteFailed:
            private = _private_lists(folder)
            command(["apt-get", "update", *private], folder)
            command(["apt-get", "download", package, *private], folder)
        debs = sorted(folder.glob("*.deb"))
        if len(debs) != 1:
            raise RouteFailed(f"apt-get download {package}: expected one .deb, got {len(debs)}")
        tree = folder / "tree"
        command(["dpkg-deb", "-x", str(debs[0]), str(tree)], folder)
        yield tree


def _private_lists(folder: Path) -> list[str]:
    """Options for package lists of our own, where the machine has none (a slim container)."""
    lists, archives = folder / "lists", folder / "archives"
    for part in (lists, archives):
        (part / "partial").mkdir(parents=True)
    return [
        "-o",
        f"Dir::State::lists={lists}",
        "-o",
        f"Dir::Cache={archives}",
        "-o",
        f"Dir::Cache::archives={archives}",
    ]
