"""`regrow unlock` takes a dead Snakemake's lock away and a living one's never, however each came to be."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from regrow import lock
from regrow.cli import main
from regrow.errors import UserError
from regrow.lock import share, unlock

HOLD = (
    "import time; from pathlib import Path; from regrow.lock import share; held = share(Path.cwd()); print(flush=True)"
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder as a killed Snakemake leaves it."""
    (tmp_path / ".snakemake/locks").mkdir(parents=True)
    for name in ("0.input.lock", "0.output.lock"):
        (tmp_path / ".snakemake/locks" / name).write_text("results/smoke/REPORT.md\n")
    monkeypatch.setattr(lock, "PATIENCE", 0.5)
    return tmp_path


@contextmanager
def holder(folder: Path, then: str = "time.sleep(60)", *prefix: str) -> Iterator[subprocess.Popen[str]]:
    """A process that works in `folder` and has its lock."""
    command = [*prefix, sys.executable, "-c", f"{HOLD}; {then}"]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "\n"
        try:
            yield process
        finally:
            os.killpg(process.pid, signal.SIGKILL)


def locked(folder: Path) -> bool:
    return any((folder / ".snakemake/locks").glob("*.lock"))


def test_a_dead_ones_lock_goes(folder: Path) -> None:
    assert unlock(folder)
    assert not locked(folder)
    assert not unlock(folder), "nothing is left to take away"


def test_no_snakemake_ever_worked_here(tmp_path: Path) -> None:
    with share(tmp_path):
        assert not unlock(tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_living_ones_lock_stays_and_it_is_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    with holder(folder) as living:
        assert main(["unlock"]) == 2
        assert f"is running here (pid {living.pid}: {sys.executable}" in capsys.readouterr().err
        assert locked(folder)
    assert main(["unlock"]) == 0
    assert not locked(folder)
    assert "checkpoints are kept" in capsys.readouterr().out


def test_one_of_many_holders_is_enough(folder: Path) -> None:
    with holder(folder):
        with holder(folder):
            pass
        with pytest.raises(UserError, match="is running here"):
            unlock(folder)
    assert unlock(folder)


def test_a_job_that_outlives_its_snakemake_holds_the_lock(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its outputs would overwrite those of the jobs that a new Snakemake starts."""
    seen = []

    def run(arguments: object) -> None:
        with pytest.raises(UserError, match="is running here"):
            unlock(folder)
        seen.append(arguments)

    monkeypatch.chdir(folder)
    monkeypatch.setattr("regrow.cli.run._run", run)
    assert main(["run", "config.json", "--data", "d", "--weights", "w", "--records", "r"]) == 0
    assert seen
    assert unlock(folder)


def test_another_folders_snakemake_does_not_matter(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    other = tmp_path_factory.mktemp("other")
    (other / ".snakemake").mkdir()
    with holder(other):
        assert unlock(folder)


def test_a_process_that_only_looks_like_snakemake_does_not_matter(folder: Path) -> None:
    """A reused pid, an editor of the Snakefile, a shell: names and pids say nothing."""
    command = [sys.executable, "-c", "import time; time.sleep(60)  # snakemake --cores 2"]
    with subprocess.Popen(command, cwd=folder) as living:
        try:
            assert unlock(folder)
        finally:
            living.kill()


def test_the_lock_dies_with_kill_9_and_does_not_pass_to_children(folder: Path) -> None:
    start = "subprocess.Popen(['sleep', '60'], close_fds=False)"
    child = f"import subprocess; print({start}.pid, flush=True); time.sleep(60)"
    with holder(folder, child) as living:
        assert living.stdout
        assert int(living.stdout.readline())
        living.kill()
        living.wait()
        assert unlock(folder), "the child, a stranger to regrow, lives on"


def test_a_dying_holder_is_waited_for(folder: Path) -> None:
    with holder(folder, "time.sleep(0.2)"):
        assert unlock(folder)


def test_a_holder_in_another_namespace_is_respected(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """As in a container: processes that do not see each other, one folder under two names."""
    namespaces = ("unshare", "--user", "--map-root-user", "--mount", "--pid", "--fork", "--kill-child")
    try:
        subprocess.run([*namespaces, "true"], check=True, capture_output=True)
    except (FileNotFoundError, subprocess.CalledProcessError):
        pytest.skip("this machine does not let a user make namespaces")
    elsewhere = tmp_path_factory.mktemp("mounted")
    enter = f'mount --bind "{folder}" "{elsewhere}" && mount -t proc proc /proc && cd "{elsewhere}" && exec "$@"'
    with holder(elsewhere, "time.sleep(60)", *namespaces, "sh", "-c", enter, "sh"):
        with pytest.raises(UserError, match="is running here"):
            unlock(folder)
        assert locked(folder)


def test_where_nothing_can_be_locked_nothing_is_unlocked(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(file: object, operation: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with (
        share(folder),
        pytest.raises(UserError, match=r"cannot be locked \(No locks available\).*`snakemake --unlock`"),
    ):
        unlock(folder)
    assert locked(folder)


def test_a_reader_may_work_where_he_may_not_write(folder: Path) -> None:
    (folder / ".snakemake/regrow.lock").mkdir()  # cannot be opened, not even by root
    with share(folder) as held:
        assert held is None
