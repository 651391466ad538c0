"""Full disks and damaged files: named, recovered from or made again, never used."""

from __future__ import annotations

import os
import resource
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from conftest import RECIPE, TINY, train_config
from regrow import code, records, stages
from regrow.cli import main
from regrow.config import DataRef, Fit, GrowConfig, OperatorConfig, canonical
from regrow.data import load, pack
from regrow.errors import UserError
from regrow.records import read_json, write_bytes
from regrow.stages.outcome import Place
from regrow.train.checkpoint import Checkpoint, load_tensors, save_tensors

STATES = [({"x": torch.full((3,), float(number))}, {"step": number}) for number in range(3)]


@contextmanager
def full_disk(size: int) -> Iterator[None]:
    """No file can grow beyond `size` bytes: the write itself fails, as on a full disk."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def flip(path: Path, position: int = -5) -> None:
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-7])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def run(data: Path, out: Path, *options: str, config: object = None) -> int:
    """`regrow run` of a run of a dozen steps, with a checkpoint after each step."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "config.json").write_text(canonical(config or train_config()))  # type: ignore[arg-type]
    places = ["--data", str(data), "--weights", str(out / "w.safetensors"), "--records", str(out / "records")]
    return main(["run", str(out / "config.json"), *places, "--work", str(out / "work"), "--save-every", "0", *options])


# ---- checkpoints


def state(checkpoint: Checkpoint) -> int | None:
    found = checkpoint.load()
    if found is None:
        return None
    assert float(found[0]["x"][0]) == found[1]["step"]
    return int(found[1]["step"])


@pytest.mark.parametrize("damage", [flip, cut, empty])
def test_a_damaged_checkpoint_costs_one_interval(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], damage: object
) -> None:
    checkpoint = Checkpoint(tmp_path, "key")
    for tensors, step in STATES:
        checkpoint.save(tensors, step)
    damage(checkpoint.path)  # type: ignore[operator]
    assert state(checkpoint) == 1
    assert "checkpoint-key.safetensors: " in capsys.readouterr().out
    damage(checkpoint.previous)  # type: ignore[operator]
    assert state(checkpoint) is None
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "checkpoint-key.previous.damaged",
        "checkpoint-key.safetensors.damaged",
    ]
    checkpoint.remove()
    assert not list(tmp_path.iterdir())


def test_a_checkpoint_without_its_checksum_is_none(tmp_path: Path) -> None:
    """A bit of the metadata's one key is enough to make the file look like another program's."""
    checkpoint = Checkpoint(tmp_path, "key")
    checkpoint.save(*STATES[0])
    flip(checkpoint.path, checkpoint.path.read_bytes().index(b"regrow"))
    assert state(checkpoint) is None


@pytest.mark.parametrize("dies_in", range(3))
def test_a_kill_between_any_two_steps_of_saving_loses_one_state_at_most(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dies_in: int
) -> None:
    checkpoint = Checkpoint(tmp_path, "key")
    checkpoint.save(*STATES[0])
    checkpoint.save(*STATES[1])
    real, calls = Path.replace, []

    def die(self: Path, target: Path) -> Path:
        calls.append(self)
        if len(calls) > dies_in:
            raise KeyboardInterrupt
        return real(self, target)

    monkeypatch.setattr(Path, "replace", die)
    with pytest.raises(KeyboardInterrupt):
        checkpoint.save(*STATES[2])
    monkeypatch.undo()
    assert state(checkpoint) == 1
    checkpoint.save(*STATES[2])
    assert state(checkpoint) == 2


def test_a_full_disk_leaves_both_states(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path, "key")
    checkpoint.save(*STATES[0])
    checkpoint.save(*STATES[1])
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with full_disk(2000), pytest.raises(UserError, match=r"checkpoint-key.fresh: cannot be written \(File too large\)"):
        checkpoint.save({"x": torch.zeros(1000)}, {"step": 2})
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert state(checkpoint) == 1


def test_other_code_never_resumes_this_ones_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = Place(data=tmp_path, weights=tmp_path, records=tmp_path, work=tmp_path)
    keys = [place.checkpoint(train_config()).path]
    package = Path(shutil.copytree(code.ROOT, tmp_path / "regrow"))
    monkeypatch.setattr(code, "ROOT", package)
    monkeypatch.setattr(code, "_sources", code._sources.__wrapped__)  # which keeps its answers
    assert place.checkpoint(train_config()).path == keys[0], "the same code elsewhere"
    (package / "report/write.py").write_text("# no part of a run\n")
    assert place.checkpoint(train_config()).path == keys[0]
    with (package / "train/loop.py").open("a") as file:
        file.write("# another loop\n")
    assert place.checkpoint(train_config()).path not in keys


def test_a_growths_code_is_its_own_operators() -> None:
    operator = OperatorConfig(name="stackbert")
    data = DataRef(name="digits", img_size=8, minival=200, seed=0)
    config = GrowConfig(run="x_s0", seed=0, data=data, operator=operator, source=TINY, target=TINY, init="pretrain/t")
    assert stages.modules(config) == ("regrow.stages.grow", "regrow.growth.depth")
    assert stages.modules(train_config()) == ("regrow.stages.model",)


# ---- runs


@pytest.fixture(scope="module")
def unbroken(digits: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("unbroken")
    assert run(digits, out) == 0
    return out


@pytest.mark.parametrize("file", ["checkpoint", "weights"])
def test_a_run_on_a_full_disk_says_so_and_goes_on_when_there_is_room(
    unbroken: Path, digits: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], file: str
) -> None:
    weights = (unbroken / "w.safetensors").stat().st_size
    every = "0" if file == "checkpoint" else "1000"
    with full_disk(2 * weights if file == "checkpoint" else weights - 1):
        assert run(digits, tmp_path, "--save-every", every) == 2
    error = capsys.readouterr().err
    assert f"{file if file == 'checkpoint' else 'w.safetensors'}" in error
    assert "cannot be written (File too large)" in error
    assert not (tmp_path / "records/summary.json").exists()
    assert not [path for path in tmp_path.rglob(".*") if path.is_file()], "nothing half-written is left"
    assert run(digits, tmp_path) == 0
    assert (tmp_path / "w.safetensors").read_bytes() == (unbroken / "w.safetensors").read_bytes()


def test_packing_on_a_full_disk_says_so_and_makes_no_set(digits: Path, tmp_path: Path) -> None:
    size = (digits / "images.npy").stat().st_size

    def pack_digits() -> None:
        pack("digits", img_size=8, seed=0, minival=200, out=tmp_path / "digits", cache=tmp_path)

    with full_disk(size - 1), pytest.raises(UserError, match=r"images.npy: cannot be written \(File too large\)"):
        pack_digits()
    with pytest.raises(UserError, match=r"manifest.json: no such file"):
        load(tmp_path / "digits")
    pack_digits()
    assert {path.name: path.read_bytes() for path in (tmp_path / "digits").iterdir()} == {
        path.name: path.read_bytes() for path in digits.iterdir()
    }


@pytest.mark.parametrize("damage", [flip, cut, empty])
@pytest.mark.parametrize("file", ["images.npy", "labels.npy", "split.npy", "manifest.json"])
def test_a_run_never_reads_damaged_data(
    digits: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], file: str, damage: object
) -> None:
    copy = Path(shutil.copytree(digits, tmp_path / "digits"))
    damage(copy / file)  # type: ignore[operator]
    assert run(copy, tmp_path / "out") == 2
    assert f"{copy / file}: " in capsys.readouterr().err
    assert not (tmp_path / "out/w.safetensors").exists()


@pytest.mark.parametrize("damage", [flip, cut, empty])
def test_a_run_never_starts_from_damaged_weights(
    unbroken: Path, digits: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], damage: object
) -> None:
    parent = Path(shutil.copy(unbroken / "w.safetensors", tmp_path / "parent.safetensors"))
    damage(parent)  # type: ignore[operator]
    config = train_config(stage="target", init="pretrain/tiny_s0")
    assert run(digits, tmp_path / "out", "--init", str(parent), config=config) == 2
    assert f"{parent}: " in capsys.readouterr().err
    assert not (tmp_path / "out/w.safetensors").exists()


def test_no_flipped_bit_of_a_weights_file_passes_for_another(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    save_tensors(path, {"a": torch.arange(6.0).reshape(2, 3), "b": torch.ones(2).bfloat16()}, run="a/b")
    good, (tensors, _) = path.read_bytes(), load_tensors(path)
    refused = 0
    for position in range(len(good)):
        damaged = bytearray(good)
        damaged[position] ^= 1 << position % 8
        path.write_bytes(damaged)
        try:
            found, _ = load_tensors(path)
        except UserError:
            refused += 1
        else:  # in the name of the metadata: it passes for another program's file, and its tensors are right
            assert found.keys() == tensors.keys()
            assert all(torch.equal(found[name], tensor) for name, tensor in tensors.items())
    assert len(good) - refused <= len("regrow")


def test_a_learned_growth_leaves_no_checkpoint(unbroken: Path, digits: Path, tmp_path: Path) -> None:
    config = GrowConfig(
        run="x_s0",
        seed=0,
        data=DataRef(name="digits", img_size=8, minival=200, seed=0),
        operator=OperatorConfig(name="mango"),
        source=TINY,
        target=TINY.model_copy(update={"embed_dim": 32, "num_heads": 4}),
        init="pretrain/tiny_s0",
        fit=Fit(recipe=RECIPE, lr_candidates=(1e-4, 1e-3)),
    )
    assert run(digits, tmp_path, "--init", str(unbroken / "w.safetensors"), config=config) == 0
    assert not list((tmp_path / "work").iterdir())
    assert read_json(tmp_path / "records/provenance.json")["resumes"] == 0


# ---- what kills leave


def test_what_a_killed_write_left_goes_with_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records.os, "fsync", lambda descriptor: os.kill(os.getpid(), signal.SIGKILL))
    for name in ("a.csv", "a.csv.md"):
        if (child := os.fork()) == 0:
            write_bytes(tmp_path / name, b"half")
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    monkeypatch.undo()
    assert len(list(tmp_path.iterdir())) == 2
    write_bytes(tmp_path / "a.csv", b"whole")
    left = sorted(path.name for path in tmp_path.iterdir())
    assert left[-1] == "a.csv"
    assert [name[:10] for name in left[:-1]] == [".a.csv.md."], "another file's is left to it"
    assert (tmp_path / "a.csv").read_bytes() == b"whole"
    assert os.access(tmp_path / "a.csv", os.R_OK)
