"""The Kubernetes API over HTTPS as the account of the pod that this runs in, elsewhere through a `kubectl proxy`."""

from __future__ import annotations

import json
import os
import ssl
import urllib.error
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import Any

from regrow.errors import UserError

PROXY = "REGROW_KUBERNETES"
"""The environment variable with the address of a `kubectl proxy`."""

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""Where Kubernetes puts the token, the certificate and the namespace of a pod's account."""

TIMEOUT = 20.0


class NoAnswer(Exception):
    """The API cannot be reached or is too busy: the same question may be answered later."""


class Refused(Exception):
    """The API says no; `code` is HTTP's."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(f"HTTP {code}: {message}")
        self.code = code


def ask(method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    """The API's answer.

    Raises:
        NoAnswer: it may come later.
        Refused: it will not.
        UserError: there is no API here.
    """
    headers, context = {"Content-Type": "application/json"}, None
    address = os.environ.get(PROXY)
    if address is None:
        address = _server()
        headers["Authorization"] = f"Bearer {(ACCOUNT / 'token').read_text().strip()}"  # it changes by the hour
        context = ssl.create_default_context(cafile=str(ACCOUNT / "ca.crt"))
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(address.rstrip("/") + path, data, headers, method=method)
    # A proxy for the world outside leads away from the cluster.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context))
    try:
        with opener.open(request, timeout=TIMEOUT) as answer:
            found: dict[str, Any] = json.load(answer)
            return found
    except urllib.error.HTTPError as error:
        message = error.read().decode(errors="replace")
        with suppress(ValueError, KeyError, TypeError):
            message = json.loads(message)["message"]
        if error.code == 429 or error.code >= 500:
            raise NoAnswer(f"HTTP {error.code}: {message[:500]}") from None
        raise Refused(error.code, message[:500]) from None
    except (OSError, ValueError) as error:
        raise NoAnswer(f"{address}: {error}") from None


def own_namespace() -> str:
    """The namespace of the pod that this runs in."""
    with suppress(OSError):
        return (ACCOUNT / "namespace").read_text().strip()
    return "default"


def _server() -> str:
    host, port = os.environ.get("KUBERNETES_SERVICE_HOST"), os.environ.get("KUBERNETES_SERVICE_PORT", "443")
    if host is None:
        raise UserError(
            "expected to run in a pod of the cluster, but KUBERNETES_SERVICE_HOST is not set; run Snakemake in the pod "
            f"of profiles/kubernetes/setup.yaml, or start `kubectl proxy` and set {PROXY}=http://127.0.0.1:8001"
        )
    return f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"
