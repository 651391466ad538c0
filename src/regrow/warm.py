"""A fork server for `regrow run`: torch and timm are imported once a study and not once a job.

Importing them takes as long as a short run. The Snakefile calls `start` before its first job; a job that finds the
server's address in its environment hands over its arguments, folder, environment and standard streams, and waits for
the exit code of the child that is forked for it. The server imports no module of regrow before it forks, so a child
runs the code that lies on disk, as a process of its own would. Linux only; elsewhere, on other machines and where the
server is gone, a job runs in its own process.

Nobody outlives anybody: a job that is killed takes its child along, and when Snakemake ends, however it ends, the
server and all its children end. SIGTERM and SIGINT are passed on to the child, which saves its state.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import traceback
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

ADDRESS = "REGROW_WARM"
"""The environment variable with the path of the server's socket."""

IMPORTED = ("torch", "timm", "torchvision.transforms.v2", "safetensors.torch", "pydantic", "rich.progress")
"""Imported at the first job and not at the start: a study that only makes tables needs none of them."""

LARGEST_REQUEST = 1 << 20
PR_SET_PDEATHSIG = 1


def start() -> None:
    """Start the server and put its address into this process's environment. It ends when this process ends."""
    if sys.platform != "linux":
        return
    path = Path(tempfile.mkdtemp(prefix="regrow-")) / "warm"
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(str(path))
        listener.listen(128)
        life, _ = os.pipe()  # nobody writes to it: the server reads its end when this process is gone
        command = [sys.executable, "-m", "regrow.warm", str(listener.fileno()), str(life), str(path)]
        subprocess.Popen(command, stdin=subprocess.DEVNULL, pass_fds=(listener.fileno(), life), start_new_session=True)
        os.close(life)
    os.environ[ADDRESS] = str(path)


def run_there(arguments: list[str]) -> int | None:
    """Run `regrow ARGUMENTS` in a child of the server; its exit code, or None where no server answers."""
    path = os.environ.get(ADDRESS)
    if path is None:
        return None
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection:
        try:
            connection.connect(path)
        except OSError:
            return None
        request = {"arguments": arguments, "folder": str(Path.cwd()), "environment": dict(os.environ)}

        def pass_on(number: int, frame: FrameType | None) -> None:
            connection.send(bytes([number]))

        answer = b""
        with suppress(ConnectionError):  # killed before it read the request
            socket.send_fds(connection, [json.dumps(request).encode()], [0, 1, 2])
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, pass_on)
            answer = connection.recv(16)
    if not answer:
        print("regrow: error: the fork server was killed; the run goes on from its checkpoint", file=sys.stderr)
        return 1
    return int(answer)


class Server:
    """Forks a child for each connection, passes signals on to it and sends back its exit code."""

    def __init__(self, listener: socket.socket, life: int) -> None:
        self._listener = listener
        self._life = life
        self._ready = selectors.DefaultSelector()
        self._children: dict[socket.socket, tuple[int, int]] = {}
        """Of each connection the child's pid, and the descriptor that tells of its end."""

    def serve(self) -> None:
        """Until the process that started the server is gone."""
        self._ready.register(self._listener, selectors.EVENT_READ)
        self._ready.register(self._life, selectors.EVENT_READ)
        while True:
            for key, _ in self._ready.select():
                if key.fileobj == self._life:
                    return
                if key.fileobj is self._listener:
                    self._fork(self._listener.accept()[0])
                elif isinstance(key.fileobj, socket.socket):
                    self._hear(key.fileobj)
                else:
                    self._reap(key.data)

    def _fork(self, connection: socket.socket) -> None:
        message, streams, *_ = socket.recv_fds(connection, LARGEST_REQUEST, 3)
        if len(streams) < 3:
            connection.close()
            return
        for name in IMPORTED:
            importlib.import_module(name)
        gc.freeze()  # else a collection in a child would copy what it shares
        server = os.getpid()
        child = os.fork()
        if child == 0:
            _die_with(server)
            self._ready.close()
            for other in (self._listener, connection, *self._children):
                other.close()
            _become(json.loads(message), streams)
        for stream in streams:
            os.close(stream)
        ended = os.pidfd_open(child)
        self._children[connection] = child, ended
        self._ready.register(connection, selectors.EVENT_READ)
        self._ready.register(ended, selectors.EVENT_READ, connection)

    def _hear(self, connection: socket.socket) -> None:
        """A byte is a signal's number; the end of the connection means that the job was killed: so is its child."""
        if connection not in self._children:
            return  # its child's end came with it, and was seen first
        child, _ = self._children[connection]
        try:
            number = connection.recv(1)
        except ConnectionResetError:
            number = b""
        os.kill(child, number[0] if number else signal.SIGKILL)
        if not number:
            self._ready.unregister(connection)

    def _reap(self, connection: socket.socket) -> None:
        child, ended = self._children.pop(connection)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        self._ready.unregister(ended)
        os.close(ended)
        if connection in self._ready.get_map():
            self._ready.unregister(connection)
        with suppress(BrokenPipeError):
            connection.send(str(code if code >= 0 else 128 - code).encode())
        connection.close()


def _die_with(server: int) -> None:
    """Let the kernel end this child when the server ends, even by SIGKILL."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != server:
        os._exit(1)


def _become(request: dict[str, Any], streams: list[int]) -> NoReturn:
    """Turn this child into the job's process and run it to its end."""
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    os.environ.pop(ADDRESS)
    from regrow.cli import main

    code = 1
    try:
        code = main(request["arguments"])
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)  # the end of a Python that has torch takes a second


if __name__ == "__main__":
    # For the children, until they train: Python's own handler loses a signal that comes while a child is being forked,
    # and a module that is imported may swallow its KeyboardInterrupt. Such a job would run to its end.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    with socket.socket(fileno=int(sys.argv[1])) as listening:
        Server(listening, int(sys.argv[2])).serve()
    Path(sys.argv[3]).unlink()
    Path(sys.argv[3]).parent.rmdir()
    os._exit(0)  # triton, which timm imports, would print a page of what it never frees
