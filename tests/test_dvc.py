"""Snakemake and DVC agree on what is done: in either order, after a clone, a change, an experiment, a failure."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import pytest
import yaml

from conftest import ROOT
from dvc_checkout import PARAMS_FILE, RESULTS, TIER, Checkout
from regrow.records import sha256

pytestmark = pytest.mark.workflow

ARMS = ("mango", "no-pretraining", "scratch")


def made(before: dict[str, float], after: dict[str, float]) -> set[str]:
    """The runs whose weights were made between two looks at the jobs, and `report` where it ran."""
    changed = {path for path in after if after[path] != before.get(path)}
    runs = {match[1] for path in changed if (match := re.fullmatch(rf"{RESULTS}/weights/(.*)\.safetensors", path))}
    return runs | ({"report"} if f"{RESULTS}/REPORT.md" in changed else set())


def weights(checkout: Checkout) -> dict[str, str]:
    folder = checkout.folder / RESULTS / "weights"
    return {path.relative_to(folder).as_posix(): sha256(path) for path in folder.rglob("*.safetensors")}


def inside(path: str, places: list[str]) -> bool:
    return any(path == place or path.startswith(f"{place}/") for place in places)


def test_every_file_of_the_dag_is_in_a_dependency_or_an_output_of_its_stage(tracked: Checkout) -> None:
    kept: list[str] = []
    for name, stage in yaml.safe_load((ROOT / "dvc.yaml").read_text().replace("${tier}", TIER))["stages"].items():
        target = {"report": "all"}.get(name, name)
        command = stage["cmd"][0] if isinstance(stage["cmd"], list) else stage["cmd"]
        assert command == f"snakemake {target} --cores all --config params={PARAMS_FILE}"
        summary = tracked.run(*command.split(), "--detailed-summary")
        table = csv.DictReader(summary[summary.index("output_file") :].splitlines(), delimiter="\t")
        rows = [row for row in table if row["plan"]]  # what follows is not of the table
        assert {row["plan"] for row in rows} == {"no update"}
        outputs = {row["output_file"] for row in rows}
        inputs = {path for row in rows for path in row["input-file(s)"].split(",")} - {"", "-"}
        outs = stage["outs"] + stage.get("metrics", [])
        assert all(options["persist"] for out in outs for options in out.values())
        kept += [path for out in outs for path in out]
        assert len(outputs) >= 4
        assert any(path.startswith("src/regrow/") for path in inputs)
        assert [path for path in outputs if not inside(path, kept)] == []
        assert [path for path in inputs - outputs if not inside(path, stage["deps"])] == []


@pytest.mark.parametrize("tier", ["smoke", "mini"])
def test_a_parameter_can_be_set_alone(tier: str) -> None:
    """DVC's -S loses a value in a section that another one is an alias of; `{<<: *section}` is a copy."""
    sections: dict[int, str] = {}

    def walk(section: object, path: str) -> None:
        if isinstance(section, dict):
            assert id(section) not in sections, f"params/{tier}.yaml: {path} and {sections[id(section)]} are one"
            sections[id(section)] = path
            for key, value in section.items():
                walk(value, f"{path}.{key}")

    walk(yaml.safe_load((ROOT / f"params/{tier}.yaml").read_text()), "")
    assert len(sections) > 10


def test_dvc_after_snakemake_runs_no_job_and_records_the_lock(tracked: Checkout, by_snakemake: Checkout) -> None:
    assert tracked.jobs() == by_snakemake.jobs()
    assert list(yaml.safe_load((tracked.folder / "dvc.lock").read_text())["stages"]) == ["data", "runs", "report"]
    assert tracked.clean()


def test_a_clone_that_pulled_has_nothing_to_do(tracked: Checkout, storage: Path, tmp_path: Path) -> None:
    clone = tracked.clone(tmp_path / "clone", storage)
    assert weights(clone) == {}
    clone.dvc("pull")
    assert weights(clone) == weights(tracked)
    assert clone.clean()
    assert clone.dvc("repro").count("didn't change, skipping") == 3
    assert clone.jobs() == tracked.jobs()
    assert clone.run("git", "status", "--porcelain") == ""


def test_one_changed_parameter_and_back(tracked: Checkout, tmp_path: Path) -> None:
    """By hand and Snakemake in one copy, as an experiment of DVC in a folder of its own in another: the same jobs."""
    by_hand, by_dvc = tracked.copy(tmp_path / "hand"), tracked.copy(tmp_path / "dvc")
    original, expected = tracked.jobs(), {"report"} | {f"transfer/{arm}_few_s0" for arm in ARMS}

    by_hand.edit("transfer.lr", 0.02)
    by_hand.snakemake()
    changed = by_hand.jobs()
    assert made(original, changed) == expected
    by_hand.dvc("repro")
    assert by_hand.jobs() == changed

    by_dvc.dvc("exp", "run", "--temp", "--name", "faster", "--set-param", f"{PARAMS_FILE}:transfer.lr=0.02")
    assert by_dvc.jobs() == original
    by_dvc.dvc("exp", "apply", "faster")
    assert made(original, by_dvc.jobs()) == expected
    assert weights(by_dvc) == weights(by_hand) != weights(tracked)
    assert by_dvc.clean()
    shows_the_experiment(by_dvc, tracked)

    by_hand.edit("transfer.lr", 0.003)
    by_hand.dvc("repro")
    assert made(changed, by_hand.jobs()) == expected
    by_dvc.run("git", "checkout", "--", ".")
    by_dvc.dvc("checkout")
    assert weights(by_hand) == weights(by_dvc) == weights(tracked)
    assert by_dvc.jobs() == original
    assert by_dvc.clean()


def shows_the_experiment(checkout: Checkout, base: Checkout) -> None:
    """`dvc exp show`, `metrics diff` and `plots diff` have both values."""
    old, new = (json.loads((place.folder / RESULTS / "metrics.json").read_text()) for place in (base, checkout))
    assert old != new
    table = checkout.dvc("exp", "show", "--csv", "--all-commits")
    lines = {
        row["Experiment"] or row["rev"]: row for row in csv.DictReader(table[table.index("Experiment") :].splitlines())
    }
    for name, lr, metrics in (("main", 0.003, old), ("faster", 0.02, new)):
        assert float(lines[name]["transfer.lr"]) == lr
        assert float(lines[name]["transfer.mango"]) == metrics["transfer"]["mango"]
    difference = json.loads(checkout.dvc("metrics", "diff", "--json"))[f"{RESULTS}/metrics.json"]
    arm = next(arm for arm in ARMS if old["transfer"][arm] != new["transfer"][arm])
    assert difference[f"transfer.{arm}"] == {
        "old": old["transfer"][arm],
        "new": new["transfer"][arm],
        "diff": new["transfer"][arm] - old["transfer"][arm],
    }
    checkout.dvc("plots", "diff", "HEAD", "--out", "plots")
    page = (checkout.folder / "plots/index.html").read_text()
    for name in ("Test accuracy", "FLOPs saved", "HEAD", "workspace", "transfer_accuracy.svg"):
        assert name in page, name


def append(path: Path, text: str) -> None:
    with path.open("a") as file:
        file.write(text)


def test_what_an_edit_reruns(tracked: Checkout, tmp_path: Path) -> None:
    checkout = tracked.copy(tmp_path / "edited")
    append(checkout.folder / PARAMS_FILE, "# a comment\n")
    for path in [*checkout.folder.glob("results/**/*"), *checkout.folder.glob("src/**/*.py")]:
        path.touch()
    assert checkout.clean()
    checkout.edit("arms.mango.label", "Mango of rank one")
    assert checkout.planned() == {"report": 1, "all": 1}
    append(checkout.folder / "src/regrow/stages/grow.py", "# an edit\n")
    # grow, and what starts from it, unless it comes out the same: target and transfer
    assert checkout.planned() == {"train": 3, "report": 1, "all": 1}
    status = checkout.dvc("status")
    assert status.count("src/regrow") == 3
    assert status.count(PARAMS_FILE) == 3


def test_tables_of_before_a_failure_do_not_count(tracked: Checkout, tmp_path: Path) -> None:
    checkout = tracked.copy(tmp_path / "failed")
    table = checkout.folder / RESULTS / "tables/growth.csv"
    before = table.read_bytes(), locked(checkout)
    checkout.edit("fit.recipe.lr", 1e30)
    checkout.edit("fit.lr_candidates", [1e30])
    checkout.dvc("repro", check=False)
    assert (table.read_bytes(), locked(checkout)) == before
    status = checkout.dvc("status")
    assert "runs:" in status
    assert "report:" in status
    assert checkout.planned() == {"train": 3, "report": 1, "all": 1}
    assert "grow/mango_s0" in checkout.run("regrow", "verify", PARAMS_FILE, "--results", RESULTS, check=False)


def locked(checkout: Checkout) -> list[object]:
    """What dvc.lock knows of the runs and the report; that the data are current it may learn."""
    stages = yaml.safe_load((checkout.folder / "dvc.lock").read_text())["stages"]
    return [stages["runs"], stages["report"]]
