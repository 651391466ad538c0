"""Which source files a stage runs: its module's imports within this package, followed to the end.

Snakemake reruns a job when its inputs change but does not see imported modules, so the rules name them as inputs.
Registries are not followed: the one operator or data set that a run uses is named by `also` instead, and an edit to
another one reruns nothing.
"""

from __future__ import annotations

import ast
import hashlib
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parent


def sources(*modules: str) -> list[str]:
    """The files of `modules` and of all that they import from regrow: sorted, relative where they lie below here."""
    return list(_sources(modules, Path.cwd()))


@cache
def _sources(modules: tuple[str, ...], here: Path) -> tuple[str, ...]:
    """Snakemake asks for every job; there are few answers."""
    found: set[Path] = set()
    waiting = list(modules)
    while waiting:
        module = waiting.pop()
        path = _file(module)
        if path is None or path in found or path.stem == "registry":
            continue
        found.add(path)
        waiting.extend(_imports(path))
    return tuple(sorted(str(path.relative_to(here) if path.is_relative_to(here) else path) for path in found))


def digest(*modules: str) -> str:
    """sha256 over the same files and their names within the package: equal where the code is."""
    hasher = hashlib.sha256()
    for path in map(Path, sources(*modules)):
        hasher.update(
            path.resolve().relative_to(ROOT.resolve()).as_posix().encode() + b"\0" + path.read_bytes() + b"\0"
        )
    return hasher.hexdigest()


def _file(module: str) -> Path | None:
    """The file of a regrow module; None for another package or a name inside a module."""
    parts = module.split(".")
    if parts[0] != "regrow":
        return None
    base = ROOT.joinpath(*parts[1:])
    candidates = (base.with_suffix(".py"), base / "__init__.py")
    return next((path for path in candidates if path.is_file()), None)


@cache
def _imports(path: Path) -> tuple[str, ...]:
    """Every regrow module that a file imports at any level, with the packages above it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    parents = {name.rsplit(".", depth)[0] for name in names for depth in range(1, name.count(".") + 1)}
    return tuple(sorted(names | parents - {"regrow"}))
