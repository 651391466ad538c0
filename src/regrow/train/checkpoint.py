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
from regrow.train import distributed

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
    """Read tensors and metadata; a file of ours (with a checksum) is verified. `sha256` is always in the metadata.

    Raises:
        UserError: no such file, not a safetensors file, cut short, or bytes that do not match the checksum.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata: dict[str, str] = json.loads((file.metadata() or {}).get(METADATA, "{}"))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file; `snakemake` or `dvc pull` makes it") from error
    except (SafetensorError, OSError, json.JSONDecodeError) as error:
        raise UserError(f"{path}: not a whole safetensors file ({error}); delete it and make it again") from error
    expected = metadata.pop("sha256", None)
    found = content_sha256(tensors, metadata)
    if expected and expected != found:
        raise UserError(f"{path}: corrupt: sha256 {expected} expected, {found} found; delete it and make it again")
    return tensors, {**metadata, "sha256": found}


class Checkpoint:
    """The state of an unfinished run in its work folder: trained tensors, optimiser moments, step, history.

    The file name carries the run's key (a digest of its config and inputs), so a changed run never resumes an old one.
    """

    def __init__(self, work: Path, key: str) -> None:
        self.path = work / f"checkpoint-{key[:16]}.safetensors"

    def save(self, tensors: Mapping[str, Tensor], state: dict[str, Any]) -> None:
        """Of several processes the first writes; all have the same state."""
        if distributed.rank() == 0:
            save_tensors(self.path, tensors, state=json.dumps(state))

    def load(self) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        """The last good state, or None at a first start. A damaged file is named, set aside and not used."""
        if not self.path.exists():
            return None
        try:
            tensors, metadata = load_tensors(self.path)
        except UserError as error:
            aside = self.path.with_suffix(".damaged")
            self.path.replace(aside)
            print(f"warning: {error}; kept as {aside.name}, starting this run again", flush=True)
            return None
        return tensors, json.loads(metadata["state"])

    def remove(self) -> None:
        """The run is done: its outputs are written."""
        if distributed.rank() == 0:
            self.path.unlink(missing_ok=True)
