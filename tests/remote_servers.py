"""Real servers on this machine for the tests of DVC's remotes: OpenSSH's sshd, moto's S3, Python's own HTTP."""

from __future__ import annotations

import contextlib
import getpass
import http.server
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

SSHD = shutil.which("sshd", path="/usr/sbin:/usr/local/sbin:/usr/bin")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def serving(command: list[str], port: int, folder: Path) -> Iterator[None]:
    """A server's process, from its first answer on `port` to the end of the block."""
    with (folder / "server.log").open("w") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 120
        while True:
            assert process.poll() is None, (folder / "server.log").read_text()
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                break
            assert time.monotonic() < deadline
            time.sleep(0.2)
        yield
    finally:
        process.terminate()
        process.wait(30)


def make_key(path: Path) -> str:
    """A key pair without a passphrase; returns the public one."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True)
    return path.with_name(f"{path.name}.pub").read_text()


@contextlib.contextmanager
def ssh_server(folder: Path) -> Iterator[dict[str, str]]:
    """An sshd with keys and settings of its own in `folder`; yields the options of a DVC remote."""
    assert SSHD
    make_key(folder / "host_key")
    (folder / "authorized_keys").write_text(make_key(folder / "user_key"))
    if os.geteuid() == 0:  # started by root, sshd insists on it; Debian's service makes it
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    port = free_port()
    settings = {
        "Port": port,
        "ListenAddress": "127.0.0.1",
        "HostKey": folder / "host_key",
        "AuthorizedKeysFile": folder / "authorized_keys",
        "PidFile": "none",
        "StrictModes": "no",
        "UsePAM": "no",
        "PasswordAuthentication": "no",
        "Subsystem": "sftp internal-sftp",
    }
    (folder / "sshd_config").write_text("".join(f"{key} {value}\n" for key, value in settings.items()))
    with serving([SSHD, "-D", "-e", "-f", str(folder / "sshd_config")], port, folder):
        user = getpass.getuser()
        yield {"url": f"ssh://{user}@127.0.0.1:{port}{folder}/kept", "keyfile": str(folder / "user_key")}


@contextlib.contextmanager
def s3_server(folder: Path) -> Iterator[dict[str, str]]:
    """moto's S3 with an empty bucket; yields the options of a DVC remote."""
    import boto3

    port = free_port()
    endpoint = f"http://127.0.0.1:{port}"
    account = {"aws_access_key_id": "a-test", "aws_secret_access_key": "a-secret"}
    with serving([sys.executable, "-m", "moto.server", "-p", str(port)], port, folder):
        boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1", **account).create_bucket(Bucket="kept")
        named = {"access_key_id": account["aws_access_key_id"], "secret_access_key": account["aws_secret_access_key"]}
        yield {"url": "s3://kept/regrow", "endpointurl": endpoint, "region": "us-east-1", **named}


@contextlib.contextmanager
def http_server(folder: Path) -> Iterator[str]:
    """Python's own server over a folder, to read from; yields its address."""
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()
