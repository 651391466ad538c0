"""The memory that a run asks a cluster for, by its set and its processes."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import ROOT
from killed_study import Study
from regrow.config import DataRef, load_params
from regrow.plan.storage import memory_mb
from regrow.study import data_refs, runs
from regrow.train import RESIDENT, batches

PAPER = {ref.name: ref for ref in data_refs(load_params(ROOT / "params/paper.yaml")).values()}


def test_smoke_asks_for_four_gigabytes() -> None:
    for run in runs(load_params(ROOT / "params/smoke.yaml")).values():
        assert memory_mb(run.config.data) in (8000, 8001)


def test_a_set_that_lies_in_memory_is_counted_three_times() -> None:
    assert memory_mb(PAPER["food-101"]) == 8000 + round(3 * (75_750 + 25_250) * 224 * 224 * 3 / 1e6)
    few = DataRef(name="mnist", img_size=224, minival=1000, seed=0, per_class=10)
    assert memory_mb(few) == 8000 + round(3 * (100 + 1_000 + 10_000) * 224 * 224 * 3 / 1e6)


def test_a_split_that_is_read_from_disk_is_not() -> None:
    """ImageNet's training images."""
    assert batches.RESIDENT == RESIDENT, "the limit of the loop itself"
    assert memory_mb(PAPER["imagenet-1k"]) == 8000 + round(3 * (10_000 + 50_000) * 224 * 224 * 3 / 1e6)


@pytest.mark.parametrize("processes", [1, 2])
def test_the_rule_asks_for_it_in_every_process(tmp_path: Path, processes: int) -> None:
    study = Study(tmp_path / "study")
    rules = study.folder / "workflow/rules/train.smk"
    rules.write_text(rules.read_text().replace("--device {resources.device}", "--asked {resources.mem_mb}"))
    more = ["-n", "-p", "--set-resources", f"train:processes={processes}"] if processes > 1 else ["-n", "-p"]
    printed = {}
    for tier, target in (("smoke", "target/scratch_s0"), ("paper", "transfer/scratch_food_s0")):
        words = [f"results/{tier}/weights/{target}.safetensors", "--config", f"params=params/{tier}.yaml", *more]
        command = [sys.executable, "-m", "snakemake", *words]
        done = subprocess.run(command, cwd=study.folder, capture_output=True, text=True, check=True)
        asked = {
            run: int(mb) for run, mb in re.findall(r"regrow run \S+/configs/(\S+)\.json .* --asked (\d+)", done.stdout)
        }
        printed[tier] = asked[target]
    assert printed == {"smoke": processes * 8001, "paper": processes * 53610}
