"""What is committed agrees with itself: the README shows the committed results, and no file names what it must not."""

from __future__ import annotations

import subprocess

import pytest

from conftest import ROOT
from regrow.config import load_params
from regrow.report import update_readme


def test_the_readme_shows_the_committed_table_and_figure() -> None:
    update_readme(load_params(ROOT / "params/mini.yaml"), ROOT / "results/mini", ROOT / "README.md", check=True)


def test_the_readmes_links_lead_somewhere() -> None:
    import re

    for page in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")]:
        for link in re.findall(r"\]\(([^)#]+)", page.read_text()):
            assert "://" in link or (page.parent / link).exists(), f"{page.name}: {link}"


@pytest.mark.parametrize("word", ["pypi" + ".org", "python" + "hosted", "npm" + "js", "deb." + "debian"])
def test_no_tracked_file_names_a_registry(word: str) -> None:
    found = subprocess.run(["git", "grep", "-Il", "-F", word], cwd=ROOT, capture_output=True, text=True, check=False)
    assert found.returncode == 1, found.stdout + found.stderr


def test_the_lock_pins_everything_by_hash() -> None:
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    pins = [line for line in lines if "==" in line and not line.startswith((" ", "#"))]
    assert len(pins) > 100
    assert all(line.rstrip().endswith("\\") for line in pins), "every pin is followed by its hashes"
