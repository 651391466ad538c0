"""The pipeline itself, on the smoke study in a copy of the checkout: it runs, and reruns only what changed."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest

from conftest import ROOT
from regrow.config import STAGES, load_params
from regrow.records import sha256
from regrow.study import runs, with_parents

pytestmark = pytest.mark.workflow

COPIED = ("Snakefile", "profiles", "workflow", "params", "README.md", "dvc.yaml", "pyproject.toml")
SMOKE = "params=params/smoke.yaml"


def snakemake(folder: Path, *arguments: str, check: bool = True, only: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "snakemake", *arguments, "--config", SMOKE, *([f"only={only}"] if only else [])]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=600, check=False)
    assert not check or done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done


def planned(folder: Path, *arguments: str, only: str = "") -> dict[str, int]:
    """Rule -> number of jobs that a dry run would start."""
    text = snakemake(folder, *arguments, "-n", "--quiet", "host", "reason", only=only).stdout
    return {name: int(count) for name, count in re.findall(r"^(\w+) +(\d+)$", text, re.MULTILINE) if name != "total"}


def checkout(folder: Path) -> Path:
    for name in COPIED:
        source = ROOT / name
        shutil.copytree(source, folder / name) if source.is_dir() else shutil.copy(source, folder / name)
    return folder


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The smoke study, run to its end after a kill of the whole process group in mid-course."""
    folder = checkout(tmp_path_factory.mktemp("study"))
    command = [sys.executable, "-m", "snakemake", "--cores", "2", "--config", SMOKE]
    running = subprocess.Popen(
        command, cwd=folder, start_new_session=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    deadline = time.monotonic() + 300
    while not list(folder.glob("results/smoke/records/target/*/summary.json")):
        assert running.poll() is None, running.stdout and running.stdout.read().decode()[-3000:]
        assert time.monotonic() < deadline
        time.sleep(0.1)
    os.killpg(running.pid, signal.SIGKILL)
    running.communicate()
    unlocked = subprocess.run(
        [sys.executable, "-m", "regrow.cli", "unlock"], cwd=folder, capture_output=True, text=True, check=True
    )
    assert "checkpoints are kept" in unlocked.stdout
    snakemake(folder, "--cores", "2")
    return folder


def test_a_killed_study_ends_complete(study: Path) -> None:
    params = load_params(study / "params/smoke.yaml")
    for key in runs(params):
        assert (study / f"results/smoke/records/{key}/summary.json").exists()
        assert (study / f"results/smoke/weights/{key}.safetensors").exists()
    for table in ("growth", "transfer"):
        for kind in ("csv", "md", "tex"):
            assert (study / f"results/smoke/tables/{table}.{kind}").stat().st_size
    assert (study / "results/smoke/REPORT.md").exists()


def test_a_jobs_failure_is_snakemakes(tmp_path: Path) -> None:
    """Not that of the `tee` behind it. The rule has no outputs that could be missed."""
    failed = snakemake(checkout(tmp_path), "tables", "--cores", "1", check=False)
    assert failed.returncode != 0
    assert "regrow: error: " in failed.stdout + failed.stderr


def test_a_second_run_has_nothing_to_do(study: Path) -> None:
    assert planned(study) == {}


def test_one_arms_parameter_reruns_that_arm_and_the_report(study: Path) -> None:
    params = study / "params/smoke.yaml"
    text = params.read_text()
    try:
        params.write_text(text.replace("operator: {name: mango}", "operator: {name: mango, options: {noise: 0.02}}"))
        assert params.read_text() != text
        listed = snakemake(study, "-n", "--quiet", "host").stdout
        rerun = set(re.findall(r"^Job \d+: (\w+ [\w.-]+)$", listed, re.MULTILINE))
        expected = {
            f"{stage} mango{data}_s{seed}"
            for stage, data in (("grow", ""), ("target", ""), ("transfer", "_digits-few"))
            for seed in (0, 1)
        }
        assert rerun == expected
        assert planned(study) == {"all": 1, "config": 2, "report": 1, "train": 6}
    finally:
        params.write_text(text)
    assert planned(study) == {}


def test_a_comment_or_a_touch_reruns_nothing(study: Path) -> None:
    params = study / "params/smoke.yaml"
    params.write_text(params.read_text() + "# a comment\n")
    for path in study.glob("results/data/*/*.npy"):
        path.touch()
    assert planned(study) == {}


def test_another_device_reruns_nothing(study: Path) -> None:
    assert planned(study, "--profile", "profiles/gpu", "--resources", "gpu=2") == {}


def test_tables_come_from_the_records_alone(study: Path, tmp_path: Path) -> None:
    folder = checkout(tmp_path)
    for name in ("smoke/records", "arithmetic"):
        shutil.copytree(study / "results" / name, folder / "results" / name)
    snakemake(folder, "tables", "--cores", "1")
    found = sorted(path for pattern in ("[tf]*/*", "claims.*") for path in (study / "results/smoke").glob(pattern))
    made = [path for path in found if path.stem != "layers"]  # drawn from weights
    assert len(found) > len(made) > 15
    for path in made:
        assert sha256(path) == sha256(folder / path.relative_to(study)), path.name


def test_snakemakes_report_shows_every_table_and_figure(study: Path, tmp_path: Path) -> None:
    page, archive = tmp_path / "report.html", tmp_path / "report.zip"
    snakemake(study, "--report", str(page))
    results, categories = embedded(page, "results"), embedded(page, "categories")
    made = [*study.glob("results/smoke/tables/*.html"), *study.glob("results/smoke/figures/*.svg")]
    made += [study / "results/smoke/claims.html", *study.glob("results/arithmetic/*.html")]
    names = {path.relative_to(study).as_posix() for path in made}
    assert "results/smoke/figures/layers.svg" in names
    pictures = {path for path in results if path.startswith("results/operators/")}
    assert set(results) == names | pictures
    assert pictures
    growth = results["results/smoke/tables/growth.html"]
    assert growth["labels"] == {"name": "growth", "kind": "table"}
    assert "<strong>FLOPs saved</strong> counts what an arm needs" in growth["caption"]
    assert all(result["caption"] and result["labels"] for result in results.values())
    assert "Tier and settings" in embedded(page, "workflow-desc")
    for category, path in (
        ("Growth (Mango, and LiGO table 2)", "smoke/figures/accuracy_vs_flops.svg"),
        ("Growth, transfer (Mango)", "smoke/tables/transfer.html"),
        ("Growth under other conventions", "smoke/figures/conventions.svg"),
        ("Learngene, descendants (TLEG)", "smoke/tables/descendants.html"),
        ("Learngene, cost and storage (TLEG)", "smoke/tables/storage.html"),
        ("Claims of both papers", "smoke/claims.html"),
        ("Plan and fact", "smoke/tables/plan.html"),
    ):
        assert f"results/{path}" in categories[category]["Other"]
    snakemake(study, "--report", str(archive))
    with zipfile.ZipFile(archive) as packed:
        files = {name.rpartition("/")[2] for name in packed.namelist()}
    assert files == {"report.html", *(name.rpartition("/")[2] for name in results)}


def embedded(page: Path, name: str) -> Any:
    """What Snakemake's report holds under a name: JSON in a script of its own."""
    found = re.search(rf'<script id="{name}">\s*var \w+ = (.*?);\s*</script>', page.read_text(), re.DOTALL)
    assert found
    return json.loads(found[1])


def test_without_the_weights_the_committed_records_do_not_count_as_done(study: Path, tmp_path: Path) -> None:
    folder = checkout(tmp_path)
    shutil.copytree(study / "results/smoke/records", folder / "results/smoke/records")
    assert planned(folder)["train"] == len(runs(load_params(folder / "params/smoke.yaml")))


@pytest.mark.parametrize("tier", sorted({path.stem for path in (ROOT / "params").glob("*.yaml")} - {"claims"}))
def test_every_tier_plans(tier: str, tmp_path: Path) -> None:
    folder = checkout(tmp_path)
    command = [sys.executable, "-m", "snakemake", "-n", "--quiet", "--config", f"params=params/{tier}.yaml"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-2000:]


def test_runs_are_taken_in_the_order_of_the_list(tmp_path: Path) -> None:
    """So a study that is stopped has whole seeds, arms and transfer sets behind it."""
    folder = checkout(tmp_path)
    printed = snakemake(folder, "--cores", "1", only="target/*_s0").stderr
    started = re.findall(rf"^Job \d+: ({'|'.join(STAGES)}) (\S+)$", printed, re.MULTILINE)
    listed = with_parents(runs(load_params(folder / "params/smoke.yaml")), ["target/*_s0"])
    assert [f"{stage}/{run}" for stage, run in started] == [*listed]
    assert printed.index(": data digits") < printed.index(": pretrain ")


def test_some_runs_alone_are_asked_for_with_what_they_need(tmp_path: Path) -> None:
    folder = checkout(tmp_path)
    wanted = [*with_parents(runs(load_params(folder / "params/smoke.yaml")), ["target/mango_s0", "*_digits-few_s0"])]
    jobs = planned(folder, only="target/mango_s0 *_digits-few_s0")
    assert jobs == {"all": 1, "config": len(wanted), "train": len(wanted), "pack": 1}
    assert planned(folder, only="target/mango_s0")["train"] == 3
    assert planned(folder, "data", only="target/mango_s0") == {"data": 1, "pack": 1}
    wrong = snakemake(folder, "-n", check=False, only="target/mangrove_s0")
    assert "did you mean 'target/mango_s0'?" in wrong.stdout + wrong.stderr


def test_a_run_gets_the_processes_of_its_resource(tmp_path: Path) -> None:
    folder, target = checkout(tmp_path), "results/smoke/weights/target/scratch_s0.safetensors"
    plan = snakemake(folder, target, "-n", "-p", "--set-resources", "train:processes=2").stdout
    assert plan.count(" --processes 2 ") == plan.count("regrow run ") == 1
    assert " --processes 1 " in snakemake(folder, target, "-n", "-p").stdout
