"""Tiny things that several tests share: models, packed images, one-line recipes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch

from regrow.config import DataRef, ModelConfig, Recipe, TrainConfig
from regrow.data import pack

if TYPE_CHECKING:
    from dvc_checkout import Checkout

ROOT = Path(__file__).parents[1]

TINY = ModelConfig(embed_dim=16, depth=2, num_heads=2, patch_size=4, img_size=8, num_classes=10)
RECIPE = Recipe(duration="12 steps", batch_size=16, lr=3e-3, warmup=0.2, evaluations=3)


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """scikit-learn's digits, packed at 8 px."""
    out = tmp_path_factory.mktemp("data") / "digits"
    pack("digits", img_size=8, seed=0, minival=200, out=out, cache=out.parent)
    return out


@pytest.fixture(scope="session")
def study(digits: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a whole tiny study: `params.yaml`, `results/data` and `results/tiny`. Not to be changed."""
    from tiny_study import make_study

    root = tmp_path_factory.mktemp("study")
    make_study(root, digits)
    return root


def train_config(**changes: object) -> TrainConfig:
    """A pretraining run of a dozen steps on digits."""
    values = {
        "stage": "pretrain",
        "run": "tiny_s0",
        "seed": 0,
        "data": DataRef(name="digits", img_size=8, minival=200, seed=0),
        "model": TINY,
        "recipe": RECIPE,
    }
    return TrainConfig.model_validate({**values, **changes})


@pytest.fixture(scope="session")
def untrained(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A git repository of this checkout's files, set to a tiny tier of seven runs. Not to be changed."""
    from dvc_checkout import make_checkout

    return make_checkout(tmp_path_factory.mktemp("checkout") / "untrained")


@pytest.fixture(scope="session")
def by_snakemake(untrained: Checkout) -> Checkout:
    """The tiny study as Snakemake made it, unknown to DVC. Not to be changed."""
    made = untrained.copy(untrained.folder.parent / "by_snakemake")
    made.snakemake()
    return made


@pytest.fixture(scope="session")
def tracked(by_snakemake: Checkout) -> Checkout:
    """The same, then recorded by `dvc repro` and committed. Not to be changed."""
    made = by_snakemake.copy(by_snakemake.folder.parent / "tracked")
    made.dvc("repro")
    made.commit()
    return made


@pytest.fixture(scope="session")
def storage(tracked: Checkout) -> Path:
    """A folder that `tracked` was pushed to. Not to be changed."""
    folder = tracked.folder.parent / "storage"
    pushing = tracked.copy(tracked.folder.parent / "pushing")
    pushing.default_remote(str(folder))
    pushing.dvc("push")
    return folder
