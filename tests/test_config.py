from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from conftest import ROOT, train_config
from regrow.config import ModelConfig, Recipe, canonical, load_params, load_run
from regrow.errors import UserError

TIERS = sorted({*(ROOT / "params").glob("*.yaml")} - {ROOT / "params/claims.yaml"})


@pytest.mark.parametrize("path", TIERS, ids=lambda path: path.stem)
def test_every_shipped_tier_loads_and_is_named_after_its_file(path: Path) -> None:
    assert load_params(path).tier == path.stem


def edited(tmp_path: Path, **changes: object) -> Path:
    raw = yaml.safe_load((ROOT / "params/smoke.yaml").read_text())
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(raw | changes))
    return path


def test_an_unknown_key_names_file_key_and_the_nearest_valid_one(tmp_path: Path) -> None:
    path = edited(tmp_path, fit={"recipe": {"duration": "1 steps", "batch_sise": 8, "lr": 0.1}, "lr_candidates": [0.1]})
    with pytest.raises(UserError, match=r"params.yaml: fit.recipe.batch_sise: unknown key; did you mean 'batch_size'"):
        load_params(path)


def test_an_unknown_source_names_the_arm(tmp_path: Path) -> None:
    arms = {"scratch": {"label": "S"}, "x": {"label": "X", "operator": {"name": "mango"}, "source": "narow"}}
    with pytest.raises(UserError, match=r"arms.x.source: 'narow' is not one of sources: narrow"):
        load_params(edited(tmp_path, arms=arms))


def test_a_wrong_value_is_shown(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"img_size: .*greater than 0, got -8"):
        load_params(edited(tmp_path, img_size=-8))


def test_a_missing_file_and_broken_yaml_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such params file"):
        load_params(tmp_path / "none.yaml")
    (tmp_path / "bad.yaml").write_text("a: [1,")
    with pytest.raises(UserError, match="not valid YAML"):
        load_params(tmp_path / "bad.yaml")


def test_a_run_config_survives_the_round_trip(tmp_path: Path) -> None:
    config = train_config()
    (tmp_path / "config.json").write_text(canonical(config))
    assert load_run(tmp_path / "config.json") == config


def test_a_run_config_with_a_wrong_key_is_refused(tmp_path: Path) -> None:
    raw = json.loads(canonical(train_config()))
    raw["recipe"]["lrr"] = raw["recipe"].pop("lr")
    (tmp_path / "config.json").write_text(json.dumps(raw))
    with pytest.raises(UserError, match=r"recipe.lrr: unknown key; did you mean 'lr'"):
        load_run(tmp_path / "config.json")


@pytest.mark.parametrize(
    ("duration", "steps"), [("7 steps", 7), ("2 epochs", 200), ("0.5 epochs", 50), ("1_000 examples", 100)]
)
def test_durations_become_steps(duration: str, steps: int) -> None:
    assert Recipe(duration=duration, batch_size=10, lr=1.0).steps(train_size=1000) == steps


def test_a_duration_without_a_unit_is_refused() -> None:
    with pytest.raises(ValueError, match="is not like '3 epochs'"):
        Recipe(duration="100", batch_size=10, lr=1.0)


def test_a_model_whose_heads_do_not_divide_it_is_refused() -> None:
    with pytest.raises(ValueError, match="not a multiple of num_heads"):
        ModelConfig(embed_dim=10, depth=1, num_heads=3, patch_size=4)
