"""The images of a run: its packed set on the device, and how its test split is read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import torch
from torch import Tensor

from regrow.config import RunConfig, digest
from regrow.data import PackedSet, load
from regrow.train.batches import ImageTensors, tensors


@dataclass(frozen=True, kw_only=True)
class Images:
    """`train` and `minival` are there from the start; the test split is loaded when it is read, once, at the end."""

    packed: PackedSet
    train: ImageTensors
    minival: ImageTensors
    in_chans: int
    thin: int
    digest: str
    """sha256 of the set's manifest, which names the sha256 of every file."""

    @classmethod
    def load(cls, config: RunConfig, folder: Path, device: torch.device, *, in_chans: int) -> Self:
        packed = load(folder)
        few, seed, thin = config.data.per_class, config.data.seed, config.data.thin
        return cls(
            packed=packed,
            train=tensors(packed, "train", device, in_chans=in_chans, per_class=few, seed=seed),
            minival=tensors(packed, "minival", device, in_chans=in_chans, thin=thin),
            in_chans=in_chans,
            thin=thin,
            digest=digest(packed.manifest),
        )

    def test(self) -> ImageTensors:
        return tensors(self.packed, "test", self.train.labels.device, in_chans=self.in_chans, thin=self.thin)

    @property
    def metric(self) -> str:
        """The set's own: `accuracy` or `balanced_accuracy`."""
        return self.packed.manifest.metric

    def score(self, predicted: Tensor, labels: Tensor) -> float:
        """The set's metric, in percent."""
        if self.metric == "balanced_accuracy":
            return balanced_accuracy(predicted, labels)
        return float(100 * (predicted == labels).double().mean())


def balanced_accuracy(predicted: Tensor, labels: Tensor) -> float:
    """Mean recall over the classes, in percent."""
    count = torch.bincount(labels)
    hits = torch.bincount(labels[predicted == labels], minlength=len(count))
    return float(100 * (hits / count).double().mean())
