"""Weights and checkpoints as safetensors files that carry their own checksum.

The checksum lies in the file's metadata and covers names, shapes, types and bytes, so a truncated or flipped file is
named and never used. Nothing here unpickles.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from regrow.errors import UserError
from regrow.records import write_bytes
from regrow.train import SAVE_EVERY, distributed

METADATA = "regrow"
"""The one key of the file's metadata. The format writes several keys in no fixed order, and so no fixed bytes."""


def content_sha256(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> str:
    """One digest over names, types, shapes, bytes and metadata."""
    hasher = hashlib.sha256(json.dumps(sorted(metadata.items())).encode())
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        hasher.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        hasher.update(tensor.view(torch.uint8).numpy().data if tensor.ndim else tensor.numpy().tobytes())
    return hasher.hexdigest()


def save_tensors(path: Path, tensors: Mapping[str, Tensor], **metadata: str) -> str:
    """Write tensors and their checksum, whole or not at all; returns the checksum."""
    held = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    checksum = content_sha256(held, metadata)
    write_bytes(path, save(held, metadata={METADATA: json.dumps({**metadata, "sha256": checksum}, sort_keys=True)}))
    return checksum


def load_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read tensors and metadata; a file of ours is verified by its checksum. `sha256` is always in the metadata.

    Raises:
        UserError: no such file, not a safetensors file, cut short, or bytes that do not match the checksum.
    """
    try:
        with safe_open(path, framework="pt") as file:
            ours = (file.metadata() or {}).get(METADATA)
            metadata: dict[str, str] = json.loads(ours or "{}")
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file; `snakemake` or `dvc pull` makes it") from error
    except (SafetensorError, OSError, json.JSONDecodeError) as error:
        raise UserError(f"{path}: not a whole safetensors file ({error}); delete it and make it again") from error
    expected = metadata.pop("sha256", "none")
    found = content_sha256(tensors, metadata)
    if ours and expected != found:
        raise UserError(f"{path}: corrupt: sha256 {expected} expected, {found} found; delete it and make it again")
    return tensors, {**metadata, "sha256": found}


class Checkpoint:
    """The state of an unfinished run in its work folder: trained tensors, optimiser moments, step, history.

    The file name carries the run's key (a digest of its config, inputs and code), so a changed run never resumes an
    old one. The state before the last is kept too: a damaged file costs `every` seconds and not the run.
    """

    def __init__(self, work: Path, key: str, every: float = SAVE_EVERY) -> None:
        self.path = work / f"checkpoint-{key[:16]}.safetensors"
        self.previous = self.path.with_suffix(".previous")
        self.every = every

    def save(self, tensors: Mapping[str, Tensor], state: dict[str, Any]) -> None:
        """Write the state; where that fails, both older ones stay as they were.

        Of several processes the first writes; all have the same state.
        """
        if distributed.rank():
            return
        fresh = self.path.with_suffix(".fresh")
        save_tensors(fresh, tensors, state=json.dumps(state))
        if self.path.exists():
            self.path.replace(self.previous)
        fresh.replace(self.path)

    def load(self) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        """The last good state, or None where there is none. A damaged file is named, set aside and not used."""
        for path in (self.path, self.previous):
            if not path.exists():
                continue
            try:
                tensors, metadata = load_tensors(path)
                if "state" not in metadata:
                    raise UserError(f"{path}: corrupt: no state in its metadata")
                return tensors, json.loads(metadata["state"])
            except UserError as error:
                aside = path.with_name(f"{path.name}.damaged")
                path.replace(aside)
                print(f"warning: {error}; kept as {aside.name}, going on from an older state", flush=True)
        return None

    def remove(self) -> None:
        """The run is done and its outputs are written: its states go, and what kills left of them."""
        if distributed.rank():
            return
        for path in self.path.parent.glob(f"*{self.path.stem}*"):
            path.unlink(missing_ok=True)
