"""The folder that downloads are kept in, shared by processes that may run at once."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from regrow.errors import UserError


def open_cache(folder: Path | None) -> Path:
    """The cache folder, made if need be: the one given, else $REGROW_CACHE, else ~/.cache/regrow."""
    chosen = folder or Path(os.environ.get("REGROW_CACHE") or Path.home() / ".cache" / "regrow")
    try:
        chosen.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"{chosen}: cannot be made the cache of downloads ({error.strerror}); "
            "name a folder of yours in REGROW_CACHE"
        ) from error
    return chosen.resolve()


@contextmanager
def alone(cache: Path, name: str) -> Iterator[None]:
    """Only one process at a time is inside for one name; the others wait, then find the work done.

    This only saves work: what is kept is renamed into place whole, and is right where locks do not hold.
    """
    try:
        with (cache / f".{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
    except OSError as error:
        raise UserError(
            f"{cache}: the cache of downloads cannot be read or written ({error}); free the disk, mend the "
            "permissions, or name another folder in REGROW_CACHE"
        ) from error
