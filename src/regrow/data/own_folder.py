"""A published set in a folder that the user has; regrow never downloads one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from regrow.errors import UserError


@dataclass(frozen=True, kw_only=True)
class OwnFolder:
    """Where a set lies below $REGROW_DATA, what it holds as published, and the page that tells how to get it."""

    name: str
    holds: str
    page: str

    @property
    def root(self) -> Path:
        """$REGROW_DATA/<name>, or data/<name>."""
        return Path(os.environ.get("REGROW_DATA", "data")) / self.name

    @contextmanager
    def reading(self) -> Iterator[Path]:
        """The folder, while its lists are read; a missing folder, file or entry is told with what to expect."""
        if not self.root.is_dir():
            raise self.error("no such folder")
        try:
            yield self.root
        except UserError:
            raise
        except (OSError, LookupError, ValueError, RuntimeError) as error:  # RuntimeError: torchvision's
            raise self.error(f"{type(error).__name__}: {error}") from error

    def error(self, problem: str) -> UserError:
        """One message: the folder, what is wrong, what to expect, where to get it."""
        return UserError(
            f"{self.root}: {problem}. Expected {self.name}/ with {self.holds}, as published; regrow does not download "
            f"it. Get it from {self.page}, and set REGROW_DATA to the folder that holds {self.name}/"
        )
