"""The fork server: a job there is a job here, and nobody outlives anybody. Few servers: each imports torch."""

from __future__ import annotations

import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from regrow.warm import ADDRESS, Server

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="the fork server is for Linux; elsewhere jobs run plainly"
)

STUDY = f"""
import os, sys
from regrow import warm
warm.start()
print(os.environ["{ADDRESS}"], flush=True)
sys.stdin.read()
"""


def study() -> tuple[subprocess.Popen[str], str]:
    """A process that started a server, as Snakemake does, and the server's address."""
    command, pipe = [sys.executable, "-c", STUDY], subprocess.PIPE
    process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True)
    assert process.stdout
    return process, process.stdout.readline().strip()


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    process, address = study()
    yield address
    process.communicate()


def job(address: str, folder: Path) -> subprocess.Popen[str]:
    """`regrow run` on a config.json in `folder`, with relative paths."""
    command = [sys.executable, "-c", "import sys; from regrow.cli import main; sys.exit(main(sys.argv[1:]))"]
    command += ["run", "config.json", "--data", "data", "--weights", "weights", "--records", "records"]
    environment = {**os.environ, ADDRESS: address}
    return subprocess.Popen(command, cwd=folder, env=environment, stderr=subprocess.PIPE, text=True)


@pytest.fixture
def waiting(tmp_path: Path) -> Path:
    """A folder whose config is a pipe that nobody writes to: its job waits until somebody ends it."""
    os.mkfifo(tmp_path / "config.json")
    return tmp_path


def until(condition: Callable[[], object], seconds: float = 60) -> None:
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit, "waited in vain"
        time.sleep(0.02)


def children_in(folder: Path) -> list[psutil.Process]:
    """The servers' children that work in `folder`."""
    found = []
    for process in psutil.process_iter(["cmdline", "cwd"]):
        line = process.info["cmdline"] or []
        if "regrow.warm" in line and process.info["cwd"] == str(folder):
            found.append(process)
    return found


def test_a_job_there_ends_as_a_job_here(address: str, tmp_path: Path) -> None:
    there, here = job(address, tmp_path), job("/nowhere", tmp_path)
    assert there.communicate() == here.communicate()
    assert there.returncode == here.returncode == 2


def test_a_signal_reaches_the_child_and_its_exit_code_comes_back(address: str, waiting: Path) -> None:
    process = job(address, waiting)
    until(lambda: children_in(waiting))
    process.terminate()
    process.communicate()
    assert process.returncode == 128 + signal.SIGTERM
    assert not children_in(waiting)


def test_a_ctrl_c_that_waits_for_the_child_reaches_it(address: str, waiting: Path) -> None:
    """The server was importing torch, or busy: the signal is there before the child is. Lost, the job would go on."""
    arguments = ["run", "config.json", "--data", "data", "--weights", "weights", "--records", "records"]
    request = {"arguments": arguments, "folder": str(waiting), "environment": dict(os.environ)}
    for _ in range(5):
        with (
            socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection,
            open(os.devnull, "w") as nowhere,  # noqa: PTH123 (no path)
        ):
            connection.connect(address)
            connection.settimeout(20)
            socket.send_fds(connection, [json.dumps(request).encode()], [nowhere.fileno()] * 3)
            connection.send(bytes([signal.SIGINT]))
            assert int(connection.recv(16)) == 128 + signal.SIGINT


def test_a_killed_job_takes_its_child_along_and_the_server_goes_on(address: str, waiting: Path) -> None:
    process = job(address, waiting)
    until(lambda: children_in(waiting))
    process.kill()
    process.communicate()
    until(lambda: not children_in(waiting))
    (waiting / "config.json").unlink()
    after = job(address, waiting)
    assert "config.json" in after.communicate()[1]
    assert after.returncode == 2


def test_nobody_outlives_a_killed_study_and_the_server_ends_without_a_word(waiting: Path) -> None:
    process, address = study()
    running = job(address, waiting)
    until(lambda: children_in(waiting))
    process.kill()
    assert "the fork server was killed" in running.communicate()[1]
    assert running.returncode == 1
    until(lambda: not children_in(waiting))
    until(lambda: not Path(address).parent.exists())
    assert process.communicate()[1] == ""


def test_a_childs_end_that_is_seen_before_a_signal_for_it_is_no_error() -> None:
    """The server was busy, so one look finds both; it must not end, because its other children would die with it."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    alive, life = os.pipe()
    with ours, theirs, socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        server = Server(listener, alive)
        child = subprocess.Popen(["true"])
        ended = os.pidfd_open(child.pid)
        server._children[ours] = child.pid, ended
        server._ready.register(ours, selectors.EVENT_READ)
        server._ready.register(ended, selectors.EVENT_READ, ours)
        until(lambda: Path(f"/proc/{child.pid}/stat").read_text().split()[2] == "Z")
        server._reap(ours)
        server._hear(ours)
        assert not server._children
        child.wait()
    os.close(alive)
    os.close(life)


def test_a_killed_server_is_an_error_and_later_jobs_run_plainly(waiting: Path) -> None:
    process, address = study()
    (server,) = psutil.Process(process.pid).children()
    running = job(address, waiting)
    until(lambda: children_in(waiting))
    server.kill()
    assert "the fork server was killed" in running.communicate()[1]
    until(lambda: not children_in(waiting))
    (waiting / "config.json").unlink()
    after = job(address, waiting)
    assert "config.json" in after.communicate()[1]
    assert after.returncode == 2
    process.communicate()
