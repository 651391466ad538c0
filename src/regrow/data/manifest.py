"""The manifest of a packed set: what is in the folder and what it was made from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from regrow.config import digest
from regrow.data.image_set import Metric, Polarity
from regrow.errors import UserError

Split = Literal["train", "minival", "test"]
SPLITS: tuple[Split, ...] = ("train", "minival", "test")  # the position is the code in split.npy
ARRAYS = ("images.npy", "labels.npy", "split.npy")


class Manifest(BaseModel):
    """Everything that a reader of the folder needs to know; equal inputs give equal bytes."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)

    name: str
    what: str
    img_size: int  # pixels a side
    channels: int
    num_classes: int
    class_names: tuple[str, ...]
    counts: dict[Split, int]
    seed: int  # of the minival; the test images are the same for every seed
    minival: int | float  # as asked for: images, or a share of the training images
    mean: tuple[float, ...]  # per channel, over the train split, pixels in [0, 1]
    std: tuple[float, ...]
    polarity: Polarity
    flip: bool
    metric: Metric
    source: tuple[str, ...]
    licence: str
    citation: str
    sha256: dict[str, str]  # of the array files, as `sha256sum` prints it

    def text(self) -> str:
        """The bytes of manifest.json, as text; its last line is the digest of all before it."""
        content = self.model_dump(mode="json") | {"manifest_sha256": digest(self)}
        return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a packed folder.

    Raises:
        UserError: there is none (it is written last, so the pack was interrupted), it does not read, or any byte is
            not the one that was written.
    """
    path = folder / "manifest.json"
    try:
        content = path.read_bytes()
        manifest = Manifest.model_validate_json(content)
    except FileNotFoundError as error:
        raise UserError(
            f"{path}: no such file; expected a packed data set, and the manifest is written last, so this "
            "one was never packed or the packing was interrupted: delete the folder and rerun"
        ) from error
    except ValidationError as error:
        problem = error.errors()[0]
        where = ".".join(str(part) for part in problem["loc"]) or "(top level)"
        raise UserError(
            f"{path}: expected a manifest of this version of regrow, but {where}: {problem['msg']}; "
            "delete the folder and rerun"
        ) from error
    if content != manifest.text().encode():
        raise UserError(
            f"{path}: corrupt, or written by another version of regrow: its manifest_sha256 or a byte beside it is not "
            f"right (sha256 {digest(manifest)} by what it says); delete the folder and rerun"
        )
    return manifest
