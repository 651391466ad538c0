"""A split that stays on disk gives the batches of one that lies in memory, to the bit."""

from __future__ import annotations

import dataclasses
import threading
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch

from regrow.config import Augment
from regrow.data import SETS, PackedSet, RawSet, load
from regrow.data.image_set import Pixels
from regrow.data.packing import write_packed
from regrow.errors import UserError
from regrow.train import batches
from regrow.train.batches import ImageTensors, tensors
from regrow.train.stored import StoredImages


@pytest.fixture(params=[1, 3], ids=["grey", "colour"])
def packed(request: pytest.FixtureRequest, tmp_path: Path) -> PackedSet:
    images = np.random.RandomState(0).randint(0, 256, (60, 6, 6, request.param)).astype(np.uint8)
    labels = np.arange(60, dtype=np.int64) % 3
    raw = RawSet(
        images=images, labels=labels, is_test=np.arange(60) % 5 == 0, class_names=["a", "b", "c"], source=("made up",)
    )
    described = dataclasses.replace(SETS["digits"], num_classes=3, train=48, test=12)
    write_packed(described, raw, seed=0, minival=8, out=tmp_path)
    return load(tmp_path)


def both(packed: PackedSet, monkeypatch: pytest.MonkeyPatch, per_class: int | None = None) -> list[ImageTensors]:
    """The training split resident and stored: the limit is its size, then one byte less."""
    images = 3 * per_class if per_class else 40
    found = []
    for limit in (images * packed.images[0].size, images * packed.images[0].size - 1):
        monkeypatch.setattr(batches, "RESIDENT", limit)
        found.append(tensors(packed, "train", torch.device("cpu"), in_chans=3, per_class=per_class))
    assert [type(split.images) for split in found] == [torch.Tensor, StoredImages]
    return found


@pytest.mark.parametrize("per_class", [None, 4])
def test_the_same_batches(packed: PackedSet, monkeypatch: pytest.MonkeyPatch, per_class: int | None) -> None:
    resident, stored = both(packed, monkeypatch, per_class)
    assert len(resident) == len(stored) == (12 if per_class else 40)
    assert torch.equal(resident.labels, stored.labels)
    for index in (torch.tensor([7, 0, 11, 7]), slice(2, 9)):
        found = []
        for split in (resident, stored):
            torch.manual_seed(0)
            found.append(split.pixels(index, Augment(crop_pad=1, flip=True)))
            found.append(split.pixels(index))
        assert torch.equal(found[0], found[2])
        assert torch.equal(found[1], found[3])
        assert found[1].stride() == found[3].stride(), "another memory layout may round otherwise in a convolution"


def test_a_batch_is_read_while_the_one_before_it_is_used(packed: PackedSet, monkeypatch: pytest.MonkeyPatch) -> None:
    resident, stored = both(packed, monkeypatch)
    indices = [torch.tensor(rows) for rows in ([7, 0], [11, 7], [3, 4])]
    begun = [threading.Event() for _ in indices]
    real = PackedSet.read

    def read(self: PackedSet, rows: npt.NDArray[np.int64]) -> Pixels:
        next(event for event in begun if not event.is_set()).set()
        return real(self, rows)

    monkeypatch.setattr(PackedSet, "read", read)
    for number, index in enumerate(stored.read_ahead(iter(indices))):
        assert index is indices[number]
        for event in begun[: number + 2]:
            assert event.wait(10), "the next one was not begun"
        assert not any(event.is_set() for event in begun[number + 2 :]), "one batch ahead, not more"
        assert torch.equal(stored.pixels(index), resident.pixels(index))
    assert list(resident.read_ahead(iter(indices))) == indices


def test_what_goes_wrong_ahead_is_told(packed: PackedSet, monkeypatch: pytest.MonkeyPatch) -> None:
    _, stored = both(packed, monkeypatch)
    path = Path(str(packed.images.filename))
    path.write_bytes(path.read_bytes()[: packed.images.offset])
    index = next(stored.read_ahead(iter([torch.tensor([1]), torch.tensor([2])])))
    with pytest.raises(UserError, match="shorter than when it was packed"):
        stored.pixels(index)


def test_nothing_that_is_done_to_a_batch_reaches_the_set(packed: PackedSet, monkeypatch: pytest.MonkeyPatch) -> None:
    before = packed.images.copy()
    for split in both(packed, monkeypatch):
        split.pixels(slice(0, 40)).zero_()
        again = tensors(packed, "train", torch.device("cpu"), in_chans=3)
        assert torch.equal(split.pixels(slice(0, 40)), again.pixels(slice(0, 40)))
    assert np.array_equal(packed.images, before)
    assert not packed.images.flags.writeable


def test_a_set_that_is_cut_off_is_told(packed: PackedSet) -> None:
    path = Path(str(packed.images.filename))
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(UserError, match=r"images.npy: shorter than when it was packed"):
        packed.read(np.array([0, 59]))
