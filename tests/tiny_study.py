"""A whole study of one seed and a dozen runs on digits, made as the DAG makes it, with its report but no figures."""

from __future__ import annotations

import importlib
import shutil
from pathlib import Path

import yaml

from conftest import ROOT
from regrow.config import Params
from regrow.report.claims import load_ledger
from regrow.report.frames import read
from regrow.report.published import published_texts
from regrow.stages import MODULES
from regrow.stages.outcome import Place
from regrow.study import runs

CLAIMS, ARITHMETIC = ROOT / "params/claims.yaml", ROOT / "results/arithmetic/claims.csv"
RECIPE = {"duration": "4 steps", "batch_size": 16, "lr": 3e-3, "evaluations": 2}
VIT = {"embed_dim": 16, "depth": 2, "num_heads": 2, "patch_size": 4}
PARAMS = {
    "tier": "tiny",
    "description": "A study of a dozen runs",
    "seeds": [0],
    "img_size": 8,
    "source_data": {"name": "digits", "minival": 200},
    "transfer_data": {"few": {"name": "digits", "minival": 200, "per_class": 3}},
    "sources": {"small": VIT | {"embed_dim": 8}},
    "target": VIT,
    "pretrain": RECIPE,
    "train": RECIPE,
    "transfer": RECIPE | {"duration": "2 epochs"},
    "fit": {"recipe": RECIPE, "lr_candidates": [1e-3, 1e-2]},
    "scratch": "scratch",
    "arms": {
        "scratch": {"label": "Scratch"},
        "mango": {"label": "Mango", "operator": {"name": "mango"}, "source": "small"},
    },
    "learngene": {
        "teacher": {"model": {"name": "test_resnet"}, "recipe": RECIPE},
        "model": VIT | {"class_token": False, "depth": 3},
        "auxiliaries": {"tleg": {"kind": "tleg", "recipe": RECIPE}},
        "depths": [3],
        "transfer_depths": [3],
        "pretrain": RECIPE,
        "train": RECIPE,
        "arms": {
            "scratch": {"label": "Scratch"},
            "tleg": {"label": "TLEG", "operator": {"name": "tleg"}, "source": "tleg"},
        },
    },
}


def make_study(root: Path, digits: Path) -> None:
    """Write `params.yaml`, `results/data` and `results/tiny` into `root`."""
    (root / "params.yaml").write_text(yaml.safe_dump(PARAMS, sort_keys=False))
    params, results = Params.model_validate(PARAMS), root / "results/tiny"
    for run in runs(params).values():
        data = root / "results/data" / run.config.data.folder
        if not data.exists():
            shutil.copytree(digits, data)
        place = Place(
            data=data,
            init=results / f"weights/{run.config.init}.safetensors" if run.config.init else None,
            weights=results / f"weights/{run.key}.safetensors",
            records=results / "records" / run.key,
            work=root / "work",
        )
        importlib.import_module(MODULES[run.stage]).run(run.config, place)
    for name, text in published_texts(read(params, results), results, load_ledger(CLAIMS, ARITHMETIC)).items():
        (results / name).parent.mkdir(exist_ok=True)
        (results / name).write_text(text)
