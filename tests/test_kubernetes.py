"""Snakemake's jobs as Kubernetes Jobs, each step against a stand-in for the cluster (tests/kubernetes_cluster.py).

It shows that the requests are right by the API's documentation, not that a real cluster takes them.
"""

from __future__ import annotations

import datetime
import ipaddress
import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from kubernetes_cluster import PROFILE, Cluster, template, wait_for
from regrow.errors import UserError
from regrow.kubernetes import api, jobs


def self_signed(certificate: Path, key: Path) -> None:
    """Write the certificate of a server on this machine, which is its own authority, and its key."""
    secret, now = ec.generate_private_key(ec.SECP256R1()), datetime.datetime.now(datetime.UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "cluster")])
    server = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    made = (
        x509.CertificateBuilder(name, name, secret.public_key(), x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(server, critical=False)
        .sign(secret, hashes.SHA256())
    )
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    certificate.write_bytes(made.public_bytes(pem))
    key.write_bytes(secret.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))


def jobscript(folder: Path, **properties: object) -> Path:
    known = {"rule": "train", "wildcards": {"stage": "target", "run": "tleg-d4_s0"}, "threads": 2}
    known["resources"] = {"mem_mb": 4000, "gpu": 8, "processes": 8, "device": "cuda"}
    path = folder / "script.sh"
    path.write_text(f"#!/bin/sh\n# properties = {json.dumps(known | properties)}\nexit 0\n")
    return path


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    with Cluster({"regrow": tmp_path}) as cluster:
        monkeypatch.setenv(api.PROXY, cluster.address)
        monkeypatch.setattr(jobs, "PATIENCE", (0, 0))
        yield cluster


def lasting(cluster: Cluster, folder: Path) -> str:
    """The id of a Job that goes on until it is stopped."""
    return jobs.submit(template(folder, folder, "sh", "-c", "sleep 60"), jobscript(folder))


def test_a_job_asks_for_what_its_rule_needs(tmp_path: Path) -> None:
    made = jobs.manifest(PROFILE / "job.yaml", jobscript(tmp_path))
    [container] = made["spec"]["template"]["spec"]["containers"]
    assert container["resources"] == {
        "requests": {"cpu": "16", "memory": "4000M"},
        "limits": {"memory": "4000M", "nvidia.com/gpu": "8"},
    }
    assert container["args"] == [str(tmp_path / "script.sh")]
    assert re.fullmatch("train-target-tleg-d4-s0-[0-9a-f]{12}", made["metadata"]["name"])
    without = jobs.manifest(PROFILE / "job.yaml", jobscript(tmp_path, resources={"mem_mb": 2000}, threads=1))
    [container] = without["spec"]["template"]["spec"]["containers"]
    assert container["resources"] == {"requests": {"cpu": "1", "memory": "2000M"}, "limits": {"memory": "2000M"}}
    long = jobs.manifest(PROFILE / "job.yaml", jobscript(tmp_path, wildcards={"run": "x" * 100}))
    assert len(long["metadata"]["name"]) < 64
    (tmp_path / "script.sh").write_text("exit 0\n")
    with pytest.raises(UserError, match=r"expected a line '# properties = .* and found none"):
        jobs.manifest(PROFILE / "job.yaml", tmp_path / "script.sh")


def test_the_setup_names_what_the_job_uses() -> None:
    job = yaml.safe_load((PROFILE / "job.yaml").read_text())["spec"]["template"]["spec"]
    setup = {each["kind"]: each for each in yaml.safe_load_all((PROFILE / "setup.yaml").read_text())}
    head = setup["Pod"]["spec"]
    [container], [job_container] = head["containers"], job["containers"]
    assert head["volumes"][0] == job["volumes"][0]
    assert job["volumes"][0]["persistentVolumeClaim"]["claimName"] == setup["PersistentVolumeClaim"]["metadata"]["name"]
    assert container["volumeMounts"][0] == job_container["volumeMounts"][0]
    assert (container["image"], container["workingDir"]) == (job_container["image"], job_container["workingDir"])
    assert head["serviceAccountName"] == setup["ServiceAccount"]["metadata"]["name"]
    allowed = {resource: rule["verbs"] for rule in setup["Role"]["rules"] for resource in rule["resources"]}
    assert allowed == {"jobs": ["create", "get", "deletecollection"], "pods": ["list"]}


def test_what_becomes_of_a_job(cluster: Cluster, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    job = jobs.submit(template(tmp_path, tmp_path, "/bin/sh"), jobscript(tmp_path))
    wait_for(lambda: jobs.status(job) == "success", "the script ends")
    job = lasting(cluster, tmp_path)
    assert jobs.status(job) == "running"
    cluster.kill(cluster.jobs[job], "OOMKilled")
    wait_for(lambda: jobs.status(job) == "failed", "the pod is dead")
    assert "out of memory; give its rule more by --set-resources RULE:mem_mb=..." in capsys.readouterr().err
    job = lasting(cluster, tmp_path)
    cluster.evict(cluster.jobs[job])
    wait_for(lambda: len(cluster.jobs[job].pods) == 2, "another pod")
    cluster.kill(cluster.jobs[job])
    wait_for(lambda: jobs.status(job) == "failed", "the pod is dead")
    assert "failed: exit code 137" in capsys.readouterr().err  # the last pod's, not the evicted one's
    assert jobs.status("default/nobodys") == "failed"
    assert "is gone: somebody deleted it" in capsys.readouterr().err


def test_an_evicted_pod_is_replaced_and_a_cancelled_job_is_gone(cluster: Cluster, tmp_path: Path) -> None:
    evicted, other = lasting(cluster, tmp_path), lasting(cluster, tmp_path)
    cluster.evict(cluster.jobs[evicted])
    wait_for(lambda: len(cluster.jobs[evicted].pods) == 2, "another pod")
    assert jobs.status(evicted) == "running"
    subprocess.run([PROFILE / "cancel", evicted, other], check=True, timeout=20)
    wait_for(lambda: all(cluster.jobs[job].pods[-1].process.poll() for job in (evicted, other)), "both end")
    assert [jobs.status(job) for job in (evicted, other)] == ["failed", "failed"]
    assert sum(request.startswith("DELETE") for request in cluster.requests) == 1


def test_an_api_that_does_not_answer_starts_no_job_twice_and_ends_none(
    cluster: Cluster, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster.answers = [503, 0]  # the second try arrives, but its answer does not
    job = lasting(cluster, tmp_path)
    assert list(cluster.jobs) == [job]
    for code in (401, 429, 500):
        cluster.answers = [code]
        assert jobs.status(job) == "running"
        assert f"counts as running, because the cluster does not tell: HTTP {code}" in capsys.readouterr().err
    cluster.answers = [503, 503, 503]
    with pytest.raises(UserError, match="could not be started: HTTP 503"):
        lasting(cluster, tmp_path)
    cluster.answers = [409]
    with pytest.raises(UserError, match=r"refused the Job .* HTTP 409"):
        lasting(cluster, tmp_path)


def test_in_a_pod_it_is_the_account_that_asks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "ACCOUNT", tmp_path)
    monkeypatch.delenv(api.PROXY, raising=False)
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with pytest.raises(UserError, match="expected to run in a pod of the cluster"):
        jobs.status("ours/none")
    for name, text in {"token": "a-token\n", "namespace": "ours"}.items():
        (tmp_path / name).write_text(text)
    self_signed(tmp_path / "ca.crt", tmp_path / "key")
    with Cluster({"regrow": tmp_path}, token="a-token") as cluster:
        cluster.secure(tmp_path / "ca.crt", tmp_path / "key")
        monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
        monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(cluster.port))
        job = lasting(cluster, tmp_path)
        assert job.startswith("ours/")
        assert jobs.status(job) == "running"
        (tmp_path / "token").write_text("expired")
        with pytest.raises(UserError, match=r"refused the Job .* HTTP 401"):
            lasting(cluster, tmp_path)
        self_signed(tmp_path / "ca.crt", tmp_path / "key")  # another server's
        with pytest.raises(api.NoAnswer, match="CERTIFICATE_VERIFY_FAILED"):
            api.ask("GET", "/")


def test_a_pod_lasts_until_its_stopped_processes_have_ended(tmp_path: Path) -> None:
    saving = "trap 'sleep 1; touch saved; exit 0' TERM; touch started; for i in {1..80}; do sleep 0.1; done"
    (tmp_path / "script.sh").write_text(f'bash -c "{saving}" | cat\necho never\n')
    command = [sys.executable, "-m", "regrow.kubernetes", "hold", "script.sh"]
    with subprocess.Popen(command, cwd=tmp_path) as holder:
        wait_for((tmp_path / "started").exists, "the script runs")
        holder.send_signal(signal.SIGTERM)
        assert holder.wait(20) == 128 + signal.SIGTERM
    assert (tmp_path / "saved").exists()
    (tmp_path / "script.sh").write_text("sleep 60 &\nexit 3\n")
    assert subprocess.run(command, cwd=tmp_path, timeout=20, check=False).returncode == 3
