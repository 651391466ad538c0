"""One run in several processes is stopped, killed and resumed, by as many processes or by others."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from conftest import train_config
from processes import together
from regrow.cli import main
from regrow.cli import run as run_command
from regrow.config import RunConfig, canonical
from regrow.errors import UserError
from regrow.records import read_json
from regrow.stages import model as model_stage
from regrow.stages.outcome import Place
from regrow.train import checkpoint as checkpoints
from regrow.train import distributed, launch, loop
from regrow.train.checkpoint import Checkpoint
from regrow.train.loop import Stopped, train
from test_distributed import NOISY, assert_close
from test_train import same, task


def when(calls: int, happens: Callable[[], None]) -> None:
    """Let something happen in this process at the end of the loop's n-th step, until the process ends."""
    real, made = loop._step, []

    def step(*arguments: Any) -> float:
        value = real(*arguments)
        made.append(1)
        if len(made) == calls:
            happens()
        return value

    loop._step = step


def stop_itself() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


@pytest.mark.parametrize(("before", "after"), [(2, 1), (1, 2), (2, 2), (2, 4)])
def test_all_stop_at_one_step_and_any_number_goes_on(digits: Path, tmp_path: Path, before: int, after: int) -> None:
    checkpoint = Checkpoint(tmp_path, "key")

    def whole() -> dict[str, Any]:
        return {"tensors": train(task(digits, NOISY)).tensors}

    def stopped() -> None:
        if distributed.rank() == before - 1:  # only one process is told
            when(5, stop_itself)
        try:
            train(task(digits, NOISY), checkpoint)
        except Stopped:
            assert checkpoint.path.exists(), "nobody leaves before the state is saved"
            raise

    def resumed() -> dict[str, Any]:
        done = train(task(digits, NOISY), checkpoint)
        return {"tensors": done.tensors, "steps": [line["step"] for line in done.history.metrics]}

    assert together(stopped, before) == [128 + signal.SIGTERM] * before
    found = checkpoint.load()
    assert found
    assert found[1]["step"] == 5
    ends = together(resumed, after)
    assert all(same(end["tensors"], ends[0]["tensors"]) for end in ends)
    assert ends[0]["steps"] == [0, 4, 8, 12]
    assert_close(ends[0]["tensors"], whole()["tensors"])
    if before == after:
        assert same(ends[0]["tensors"], together(whole, after)[0]["tensors"]), "as many processes: the same bits"


def test_processes_that_see_other_checkpoints_do_not_start(digits: Path, tmp_path: Path) -> None:
    def run() -> str:
        if not (tmp_path / "0").exists():
            when(5, stop_itself)
        try:
            train(task(digits), Checkpoint(tmp_path / str(distributed.rank()), "key"))
        except (UserError, RuntimeError) as error:  # the first loses the others
            return str(error)
        return "no error"

    assert together(run) == [128 + signal.SIGTERM] * 2
    assert "process 1 sees another checkpoint than the first; --work must lie on" in together(run)[1]


def test_a_damaged_checkpoint_is_set_aside_once(digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def slowly(path: Path) -> None:
        time.sleep(0.2)
        raise UserError(f"{path}: corrupt")

    monkeypatch.setattr(checkpoints, "load_tensors", slowly)
    checkpoint = Checkpoint(tmp_path, "key")
    checkpoint.path.write_bytes(b"damaged")
    first, second = together(lambda: {"tensors": train(task(digits), checkpoint).tensors})
    assert same(first["tensors"], second["tensors"])
    assert [path.name for path in tmp_path.iterdir()] == [f"{checkpoint.path.name}.damaged"]


def place(digits: Path, folder: Path) -> Place:
    weights, work = folder / "w.safetensors", folder / "work"
    return Place(data=digits, weights=weights, records=folder, work=work, save_every=0.0)


def killed_then_stopped(config: RunConfig, place: Place) -> None:
    """A worker of torchrun's: the second dies in its 7th step; started again, the first has the launcher stopped."""
    started, rank = (int(os.environ[name]) for name in ("TORCHELASTIC_RESTART_COUNT", "RANK"))
    if (started, rank) == (0, 1):
        when(7, lambda: os.kill(os.getpid(), signal.SIGKILL))
    if (started, rank) == (1, 0):
        when(3, lambda: os.kill(os.getppid(), signal.SIGTERM))
    run_command._stage(config, place)


@pytest.mark.workflow
def test_a_killed_worker_is_replaced_and_a_stopped_launcher_stops_all(
    digits: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Real workers of torchrun's: one is killed, all start again from the checkpoint, and are told to stop."""
    config = train_config(recipe=NOISY.model_copy(update={"duration": "400 steps"}))
    launcher = multiprocessing.get_context("fork").Process(
        target=lambda: launch.launch(2, killed_then_stopped, config, place(digits, tmp_path / "two"))
    )
    launcher.start()
    launcher.join(600)
    launcher.kill()
    assert launcher.exitcode == 128 + signal.SIGTERM
    assert capfd.readouterr().out.count("resumes at step") == 1, "only the first process speaks"
    (path,) = (tmp_path / "two/work").glob("*.safetensors")
    left = Checkpoint(path.parent, path.stem.removeprefix("checkpoint-")).load()
    assert left
    assert left[1]["resumes"] == 1, "the second start went on from the first one's checkpoint"
    assert 6 + 3 <= left[1]["step"] < 400
    for folder in ("two", "unbroken"):
        together(lambda folder=folder: model_stage.run(config, place(digits, tmp_path / folder)))
    assert read_json(tmp_path / "two/provenance.json")["resumes"] == 2
    for file in ("w.safetensors", "metrics.jsonl", "summary.json"):
        assert (tmp_path / "two" / file).read_bytes() == (tmp_path / "unbroken" / file).read_bytes(), file


def test_processes_of_the_command_line(
    digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def launched(processes: int, function: Callable[..., None], *arguments: object) -> int:
        assert processes == 3
        function(*arguments)
        return 2

    monkeypatch.setattr(launch, "launch", launched)
    (tmp_path / "config.json").write_text(canonical(train_config()))
    paths = {"--data": digits, "--weights": tmp_path / "w.safetensors", "--records": tmp_path}
    command = ["run", str(tmp_path / "config.json"), *(str(word) for pair in paths.items() for word in pair)]
    with pytest.raises(SystemExit) as ended:
        main([*command, "--processes", "3"])
    assert ended.value.code == 2
    assert (tmp_path / "summary.json").exists()
    assert main([*command, "--processes", "0"]) == 2
    assert "--processes: expected 1 or more, got 0" in capsys.readouterr().err


def test_the_users_mistake_is_told_once_and_not_tried_again(capsys: pytest.CaptureFixture[str]) -> None:
    def mistake() -> None:
        raise UserError("no such file")

    assert launch._worker(mistake) == 2
    assert capsys.readouterr().err == "regrow: error: no such file\n"
    assert launch._worker(lambda: None) == 0
