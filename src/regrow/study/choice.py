"""A part of the study: some runs, and what they start from."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase

from regrow.errors import UserError
from regrow.study.run import Run


def with_parents(runs: Mapping[str, Run], wanted: Iterable[str]) -> dict[str, Run]:
    """The runs that these keys or patterns (`target/*_s0`) name and all that they need, in the study's order.

    Raises:
        UserError: one that names no run; it tells the nearest key.
    """
    found: set[str] = set()
    for pattern in wanted:
        named = [key for key in runs if fnmatchcase(key, pattern)]
        if not named:
            near = difflib.get_close_matches(pattern, runs, n=1, cutoff=0.0)[0]
            raise UserError(
                f"expected the key of a run, or a pattern of some, got {pattern!r}; did you mean {near!r}? "
                "`regrow config PARAMS` lists all"
            )
        for key in named:
            child: str | None = key
            while child and child not in found:
                found.add(child)
                child = runs[child].config.init
    return {key: run for key, run in runs.items() if key in found}
