"""A stand-in for a Kubernetes cluster: the few calls of its API that regrow makes, and pods that are local processes.

It does what the documentation says of Jobs: `backoffLimit`, a `podFailurePolicy` that ignores disruptions, the grace
period. It has no images, nodes or scheduler, enforces no CPU, memory or GPU and mounts nothing: a volume is a folder
that must lie at its own mount path already. Each pod's own disk is a folder that goes with it.
"""

from __future__ import annotations

import http.server
import re
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import yaml

from conftest import ROOT
from kubernetes_api import handler

PROFILE = ROOT / "profiles/kubernetes"
NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


def template(folder: Path, claim: Path, *command: str) -> Path:
    """The profile's Job with the volume mounted where it lies on this machine; with `command` instead of its own."""
    text = (PROFILE / "job.yaml").read_text().replace("/regrow}", f"{claim}}}").replace(": /regrow\n", f": {claim}\n")
    job = yaml.safe_load(text)
    if command:
        job["spec"]["template"]["spec"]["containers"][0]["command"] = list(command)
    path = folder / "job.yaml"
    path.write_text(yaml.safe_dump(job))
    return path


def wait_for(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline, f"not within two minutes: {what}"
        time.sleep(0.05)


@dataclass
class Pod:
    """One attempt at a Job: a process, and how it ended."""

    process: subprocess.Popen[bytes]
    disk: Path
    evicted: bool = False
    reason: str = "Error"

    def status(self) -> dict[str, Any]:
        code = self.process.poll()
        if code is None:
            return {"phase": "Running", "containerStatuses": [{"name": "job", "state": {"running": {}}}]}
        ended = {"exitCode": code if code >= 0 else 128 - code, "reason": self.reason if code else "Completed"}
        phase = "Failed" if code else "Succeeded"
        return {"phase": phase, "containerStatuses": [{"name": "job", "state": {"terminated": ended}}]}

    def members(self) -> list[psutil.Process]:
        with suppress(psutil.NoSuchProcess):
            first = psutil.Process(self.process.pid)
            return [first, *first.children(recursive=True)]
        return []

    def kill(self) -> None:
        """What the end of a container is to its processes."""
        for process in self.members():
            with suppress(psutil.NoSuchProcess):
                process.kill()


@dataclass
class Job:
    """A Job as it was sent, and its pods so far."""

    sent: dict[str, Any]
    pods: list[Pod] = field(default_factory=list)
    ended: str = ""
    deleted: bool = False

    @property
    def container(self) -> dict[str, Any]:
        [container] = self.sent["spec"]["template"]["spec"]["containers"]
        return container

    def ignores_disruptions(self) -> bool:
        rules = self.sent["spec"].get("podFailurePolicy", {}).get("rules", [])
        ignored = [rule["onPodConditions"] for rule in rules if rule["action"] == "Ignore"]
        return any(pattern["type"] == "DisruptionTarget" for patterns in ignored for pattern in patterns)


class Cluster:
    """Jobs by `<namespace>/<name>`. `claims` are the volumes that exist: the claim's name and its folder."""

    def __init__(self, claims: dict[str, Path], token: str = "") -> None:
        self.claims, self.token = claims, token
        self.jobs: dict[str, Job] = {}
        self.requests: list[str] = []
        self.answers: list[int | None] = []
        """Codes to answer the next requests with, without doing what they ask; 0 does it and answers with 503."""
        self._lock = threading.RLock()
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler(self))
        self.port = self._server.server_address[1]
        self.address = f"http://127.0.0.1:{self.port}"

    def secure(self, certificate: Path, key: Path) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)

    def __enter__(self) -> Cluster:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        for job in self.jobs.values():
            self.delete(job)

    def create(self, namespace: str, sent: dict[str, Any]) -> int:
        name = sent["metadata"]["name"]
        key = f"{namespace}/{name}"
        if not (NAME.fullmatch(name) and sent["kind"] == "Job" and sent["apiVersion"] == "batch/v1"):
            return 422
        if not self._mounted(sent["spec"]["template"]["spec"]):
            return 422
        if key in self.jobs:
            return 409
        with self._lock:
            job = self.jobs[key] = Job(sent)
            self._start(job)
        threading.Thread(target=self._control, args=(job,), daemon=True).start()
        return 201

    def _mounted(self, pod: dict[str, Any]) -> bool:
        """Whether the pod works in a folder of a volume, and each volume lies where it is to be mounted."""
        [container] = pod["containers"]
        claims = {volume["name"]: volume.get("persistentVolumeClaim", {}).get("claimName") for volume in pod["volumes"]}
        mounts = {claims[mount["name"]]: Path(mount["mountPath"]) for mount in container["volumeMounts"]}
        shared = {claim: path for claim, path in mounts.items() if claim}
        folder = Path(container["workingDir"])
        return any(folder.is_relative_to(path) for path in shared.values()) and all(
            self.claims.get(claim) == path for claim, path in shared.items()
        )

    def evict(self, job: Job) -> None:
        """What a drained node, a preemption or a lack of memory on the node does to a pod."""
        pod = job.pods[-1]
        pod.evicted = True
        self._terminate(job, pod)

    def kill(self, job: Job, reason: str = "Error") -> None:
        job.pods[-1].reason = reason
        job.pods[-1].kill()

    def _terminate(self, job: Job, pod: Pod) -> None:
        pod.process.send_signal(signal.SIGTERM)
        try:
            pod.process.wait(job.sent["spec"]["template"]["spec"].get("terminationGracePeriodSeconds", 30))
        except subprocess.TimeoutExpired:
            pod.kill()

    def delete(self, job: Job) -> None:
        job.deleted = True
        self._terminate(job, job.pods[-1])

    def _start(self, job: Job) -> None:
        container = job.container
        disk = Path(tempfile.mkdtemp(prefix="pod-"))
        # What the image gives, and nothing of the Snakemake that sent the Job.
        image = {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "PYTHONPATH": str(ROOT / "src")}
        own = {"HOME": str(disk), "TMPDIR": str(disk)}
        env = {each["name"]: each["value"] for each in container.get("env", [])}
        command = [*container["command"], *container["args"]]
        with (disk / "log").open("wb") as log:
            process = subprocess.Popen(
                command, cwd=container["workingDir"], env=image | own | env, stdout=log, stderr=log
            )
        job.pods.append(Pod(process, disk))

    def _control(self, job: Job) -> None:
        """What Kubernetes' controller of Jobs does."""
        failures = 0
        while True:
            pod = job.pods[-1]
            code = pod.process.wait()
            pod.kill()
            shutil.rmtree(pod.disk)
            with self._lock:
                if job.deleted:
                    return
                if code == 0:
                    job.ended = "Complete"
                    return
                failures += not (pod.evicted and job.ignores_disruptions())
                if failures > job.sent["spec"].get("backoffLimit", 6):
                    job.ended = "Failed"
                    return
                self._start(job)
