"""A job of Snakemake as a Kubernetes Job: submit it, ask how it is, cancel it. Its id is `<namespace>/<name>`."""

from __future__ import annotations

import json
import re
import sys
import time
import uuid
from collections import defaultdict
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

from regrow.errors import UserError
from regrow.kubernetes.api import NoAnswer, Refused, ask, own_namespace

GPU = "nvidia.com/gpu"
LABEL = "regrow-job"
"""On each Job its own name, so that one request can delete many."""

PATIENCE = (1, 2, 4, 8, 16)
"""Seconds to wait before a Job is sent once more to an API that did not answer."""

PROPERTIES = "# properties = "


def submit(template: Path, jobscript: Path) -> str:
    """Start Snakemake's jobscript as a Job like the template; its id.

    Raises:
        UserError: the API refused the Job, or did not answer for half a minute.
    """
    job = manifest(template, jobscript)
    name, namespace = job["metadata"]["name"], job["metadata"].setdefault("namespace", own_namespace())
    for number, pause in enumerate((*PATIENCE, None)):
        try:
            ask("POST", f"/apis/batch/v1/namespaces/{namespace}/jobs", job)
        except NoAnswer as error:
            if pause is None:
                raise UserError(f"the Job {name} could not be started: {error}") from None
            time.sleep(pause)
            continue
        except Refused as error:
            # The name is nobody else's: an earlier try had arrived, only its answer had not.
            if not (number and error.code == 409):
                raise UserError(f"the cluster refused the Job {name}, made from {template}: {error}") from None
        break
    return f"{namespace}/{name}"


def manifest(template: Path, jobscript: Path) -> dict[str, Any]:
    """The template with the job's name, script, CPU, memory and GPUs."""
    import yaml  # not for `status`, which is asked often

    job: dict[str, Any] = yaml.safe_load(template.read_text())
    asked = _properties(jobscript)
    words = "-".join([asked.get("rule", "group"), *asked.get("wildcards", {}).values()]).lower()
    name = f"{re.sub('[^a-z0-9]+', '-', words)[:48].strip('-')}-{uuid.uuid4().hex[:12]}"
    job["metadata"]["name"] = name
    job["metadata"].setdefault("labels", {})[LABEL] = name
    [container] = job["spec"]["template"]["spec"]["containers"]
    container["args"] = [str(jobscript)]
    resources = asked["resources"]
    requests = {"cpu": str(asked["threads"] * resources.get("processes", 1))}
    limits = {}
    if "mem_mb" in resources:
        requests["memory"] = limits["memory"] = f"{resources['mem_mb']}M"
    if resources.get("gpu"):
        limits[GPU] = str(resources["gpu"])
    container["resources"] = {"requests": requests, "limits": limits}
    return job


def status(job: str) -> str:
    """`success`, `failed` or `running`; a Job of which the API says nothing counts as running."""
    namespace, name = job.split("/")
    try:
        found = ask("GET", f"/apis/batch/v1/namespaces/{namespace}/jobs/{name}")
    except (NoAnswer, Refused) as error:
        if isinstance(error, Refused) and error.code == 404:
            _say(f"the Job {name} is gone: somebody deleted it")
            return "failed"
        # Any other answer would end the study.
        _say(f"the Job {name} counts as running, because the cluster does not tell: {error}")
        return "running"
    conditions = found.get("status", {}).get("conditions", [])
    held = {condition["type"]: condition for condition in conditions if condition["status"] == "True"}
    if "Complete" in held:
        return "success"
    if "Failed" in held:
        _say(f"the Job {name} failed: {_reason(namespace, name) or held['Failed'].get('reason', 'no reason given')}")
        return "failed"
    return "running"


def cancel(jobs: list[str]) -> None:
    """Delete the Jobs and their pods, by one request a namespace: Snakemake waits for two seconds."""
    names = defaultdict(list)
    for job in jobs:
        namespace, name = job.split("/")
        names[namespace].append(name)
    for namespace, found in names.items():
        selector = quote(f"{LABEL} in ({','.join(found)})")
        path = f"/apis/batch/v1/namespaces/{namespace}/jobs?labelSelector={selector}&propagationPolicy=Background"
        try:
            ask("DELETE", path)
        except (NoAnswer, Refused) as error:
            raise UserError(
                f"the Jobs may still run ({error}); stop them by `kubectl delete job --selector app=regrow`"
            ) from None


def _properties(jobscript: Path) -> dict[str, Any]:
    """What Snakemake writes about the job into its script."""
    for line in jobscript.read_text().splitlines():
        if line.startswith(PROPERTIES):
            found: dict[str, Any] = json.loads(line.removeprefix(PROPERTIES))
            return found
    raise UserError(f"{jobscript}: expected a line '{PROPERTIES}...' and found none; use Snakemake's own jobscript")


def _reason(namespace: str, name: str) -> str:
    """Why the Job's last pod ended, with what to do where the cause is known; empty where the pod is gone."""
    with suppress(NoAnswer, Refused):
        pods = ask("GET", f"/api/v1/namespaces/{namespace}/pods?labelSelector=job-name%3D{name}")["items"]
        for pod in sorted(pods, key=lambda pod: str(pod["metadata"]["creationTimestamp"]), reverse=True):
            for container in pod["status"].get("containerStatuses", []):
                ended = container.get("state", {}).get("terminated")
                if ended and ended.get("reason") == "OOMKilled":
                    return "out of memory; give its rule more by --set-resources RULE:mem_mb=..."
                if ended:
                    return f"exit code {ended['exitCode']}"
            if "reason" in pod["status"]:
                return f"{pod['status']['reason']} {pod['status'].get('message', '')}"
    return ""


def _say(text: str) -> None:
    print(f"regrow: {text}", file=sys.stderr, flush=True)
