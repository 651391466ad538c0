"""The calls of the Kubernetes API that regrow makes, over HTTP, for the stand-in of a cluster; others are a 404."""

from __future__ import annotations

import http.server
import json
import re
import threading
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

if TYPE_CHECKING:
    from kubernetes_cluster import Cluster

IN = re.compile(r"regrow-job in \((.*)\)")


def handler(cluster: Cluster) -> type[http.server.BaseHTTPRequestHandler]:
    return type("Handler", (_Handler,), {"cluster": cluster})


class _Handler(http.server.BaseHTTPRequestHandler):
    cluster: Cluster

    def _answer(self, code: int, body: dict[str, Any]) -> None:
        data = json.dumps(body).encode()
        self.send_response(code)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _handle(self) -> None:
        cluster, address = self.cluster, urlsplit(self.path)
        size = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(size)) if size else {}
        cluster.requests.append(f"{self.command} {self.path}")
        ordered = cluster.answers.pop(0) if cluster.answers else None
        code, found = ordered, {}
        if cluster.token and self.headers.get("Authorization") != f"Bearer {cluster.token}":
            code = 401
        elif not ordered:
            code, found = self._serve(address.path.strip("/").split("/"), parse_qs(address.query), body)
            code = 503 if ordered == 0 else code
        self._answer(code, found if code < 400 else {"kind": "Status", "message": f"the stand-in says {code}"})

    do_GET = do_POST = do_DELETE = _handle

    def _serve(self, path: list[str], query: dict[str, list[str]], body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        cluster = self.cluster
        match self.command, path:
            case "POST", ["apis", "batch", "v1", "namespaces", namespace, "jobs"]:
                return cluster.create(namespace, body), body
            case "GET", ["apis", "batch", "v1", "namespaces", namespace, "jobs", name]:
                job = cluster.jobs.get(f"{namespace}/{name}")
                if job is None or job.deleted:
                    return 404, {}
                conditions = [{"type": job.ended, "status": "True", "reason": "BackoffLimitExceeded"}]
                return 200, {"status": {"conditions": conditions} if job.ended else {"active": 1}}
            case "GET", ["api", "v1", "namespaces", namespace, "pods"]:
                name = query["labelSelector"][0].removeprefix("job-name=")
                job = cluster.jobs[f"{namespace}/{name}"]
                when = "2026-01-01T00:00:{:02}Z"
                return 200, {
                    "items": [
                        {"metadata": {"creationTimestamp": when.format(number)}, "status": pod.status()}
                        for number, pod in enumerate(job.pods)
                    ]
                }
            case "DELETE", ["apis", "batch", "v1", "namespaces", namespace, "jobs"]:
                assert query["propagationPolicy"] == ["Background"]
                wanted = IN.fullmatch(query["labelSelector"][0])
                assert wanted
                for name in wanted[1].split(","):
                    job = cluster.jobs[f"{namespace}/{name}"]
                    assert job.sent["metadata"]["labels"]["regrow-job"] == name
                    threading.Thread(target=cluster.delete, args=(job,), daemon=True).start()
                return 200, {}
        return 404, {}

    def log_message(self, format: str, *arguments: object) -> None:
        pass
