"""What the workflow catalog and snakedeploy look for: files, and the same plan in a folder that snakedeploy made."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from conftest import ROOT

pytestmark = pytest.mark.workflow

# What snakedeploy writes, with this checkout in the place of the repository's address.
DEPLOYED = f"""
configfile: "config/config.yaml"


module regrow:
    snakefile: "{ROOT}/workflow/Snakefile"
    config: config


use rule * from regrow
"""


def planned(folder: Path, *arguments: str) -> dict[str, int]:
    """Rule -> number of jobs that a dry run would start."""
    command = [sys.executable, "-m", "snakemake", "-n", "--quiet", "host", "reason", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return {name: int(count) for name, count in re.findall(r"^(\w+) +(\d+)$", done.stdout, re.MULTILINE)}


def test_a_deployed_folder_plans_what_a_fresh_checkout_plans(tmp_path: Path) -> None:
    deployed, fresh = tmp_path / "deployed", tmp_path / "fresh"
    for name in ("config", "profiles"):
        shutil.copytree(ROOT / name, deployed / name)
    (deployed / "workflow").mkdir()
    (deployed / "workflow/Snakefile").write_text(DEPLOYED)
    for name in ("params", "profiles", "workflow"):
        shutil.copytree(ROOT / name, fresh / name)
    shutil.copy(ROOT / "Snakefile", fresh)
    plan = planned(deployed, "--config", "params=config/params/smoke.yaml")
    assert plan["train"] > 30
    assert plan == planned(fresh, "--config", "params=params/smoke.yaml")


def test_the_catalogs_files_are_there() -> None:
    usage = yaml.safe_load((ROOT / ".snakemake-workflow-catalog.yml").read_text())["usage"]
    assert {"mandatory-flags", "software-stack-deployment"} <= set(usage)
    readme = (ROOT / "README.md").read_text().lower()
    assert "snakemake" in readme
    assert "workflow" in readme
    assert (ROOT / "config/README.md").stat().st_size
    for key, path in yaml.safe_load((ROOT / "config/config.yaml").read_text()).items():
        assert (ROOT / path).is_file(), key
