"""A git repository of the files of this checkout with a tiny study in it, for the tests of Snakemake and DVC."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import yaml

from conftest import ROOT
from tiny_study import PARAMS

TIER = "tiny"
PARAMS_FILE = f"params/{TIER}.yaml"
RESULTS = f"results/{TIER}"
STUDY = ["--config", f"params={PARAMS_FILE}"]
LEFT_OUT = ("results/mini/", "params/tiny.yaml", "params.yaml")


class Checkout:
    """A repository, and the tools run in it. `site` holds what DVC keeps outside of repositories."""

    def __init__(self, folder: Path, site: Path) -> None:
        self.folder, self.site = folder, site

    def run(self, *command: str, check: bool = True) -> str:
        """What a command prints; with `check` it must succeed, without it must fail."""
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        environment = {**os.environ, "PATH": path, "DVC_SITE_CACHE_DIR": str(self.site), "DVC_NO_ANALYTICS": "1"}
        environment |= {f"GIT_{who}_{what}": "test" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
        done = subprocess.run(
            command, cwd=self.folder, env=environment, capture_output=True, text=True, timeout=600, check=False
        )
        text = done.stdout + done.stderr
        assert (done.returncode == 0) == check, f"{command}: exit code {done.returncode}\n{text[-5000:]}"
        return text

    def snakemake(self, *arguments: str, check: bool = True) -> str:
        return self.run("snakemake", "--cores", "2", *arguments, *STUDY, check=check)

    def dvc(self, *arguments: str, check: bool = True) -> str:
        return self.run("dvc", *arguments, check=check)

    def commit(self) -> None:
        self.run("git", "add", "-A")
        self.run("git", "commit", "-qm", "a state")

    def jobs(self) -> dict[str, float]:
        """Output -> when its job began, from Snakemake's own records."""
        found = {}
        for path in (self.folder / ".snakemake/metadata").rglob("*"):
            if path.is_file():
                name = "".join(path.relative_to(self.folder / ".snakemake/metadata").parts).replace("@", "")
                found[base64.b64decode(name).decode()] = json.loads(path.read_text())["starttime"]
        return found

    def planned(self) -> dict[str, int]:
        """Rule -> number of jobs that Snakemake would start."""
        found = re.findall(r"^(\w+) +(\d+)$", self.snakemake("-n"), re.MULTILINE)
        return {name: int(count) for name, count in found if name != "total"}

    def clean(self) -> bool:
        """Whether neither tool has anything to do."""
        idle = "Nothing to be done" in self.snakemake("-n")
        return idle and "up to date" in self.dvc("status")

    def edit(self, key: str, value: object) -> None:
        """Give a dotted key of the tiny tier's params another value."""
        path = self.folder / PARAMS_FILE
        params = yaml.safe_load(path.read_text())
        *parents, last = key.split(".")
        place = params
        for parent in parents:
            place = place[parent]
        assert place[last] != value
        place[last] = value
        path.write_text(yaml.safe_dump(params, sort_keys=False))

    def copy(self, folder: Path) -> Checkout:
        shutil.copytree(self.folder, folder, symlinks=True)
        return Checkout(folder, self.site)

    def clone(self, folder: Path, remote: Path) -> Checkout:
        """A git clone whose default remote is the folder `remote`."""
        self.run("git", "clone", "-q", ".", str(folder))
        made = Checkout(folder, self.site)
        made.default_remote(str(remote))
        return made

    def default_remote(self, url: str, **options: str) -> None:
        self.dvc("remote", "add", "--local", "--force", "--default", "shared", url)
        for name, value in {"verify": "true", **options}.items():
            self.dvc("remote", "modify", "--local", "shared", name, value)


def make_checkout(folder: Path) -> Checkout:
    """The files of this checkout as they are now, without the results of `mini`; the tier is a tiny one."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for name in listed.stdout.splitlines():
        if not name.startswith(LEFT_OUT) and (ROOT / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name, follow_symlinks=False)
    growth = {key: value for key, value in PARAMS.items() if key != "learngene"}
    (folder / "params.yaml").write_text(f"tier: {TIER}\n")
    # through JSON, so that no recipe is an alias of another one
    (folder / PARAMS_FILE).write_text(yaml.safe_dump(json.loads(json.dumps(growth)), sort_keys=False))
    made = Checkout(folder, folder.parent / "site")
    made.run("git", "init", "-q", "-b", "main")
    made.commit()
    return made
