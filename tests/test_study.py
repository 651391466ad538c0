from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import ROOT
from regrow.code import sources
from regrow.config import GrowConfig, Params, TrainConfig, load_params
from regrow.data.registry import SETS
from regrow.errors import UserError
from regrow.growth.registry import OPERATORS, entry, operator
from regrow.study import NO_PRETRAINING, data_refs, runs


@pytest.fixture(scope="module")
def smoke() -> Params:
    return load_params(ROOT / "params/smoke.yaml")


def test_parents_come_first_and_exist(smoke: Params) -> None:
    seen = set()
    for key, run in runs(smoke).items():
        assert run.config.init is None or run.config.init in seen
        seen.add(key)


def test_every_arm_has_its_runs_at_every_seed(smoke: Params) -> None:
    found = runs(smoke)
    for seed in smoke.seeds:
        for name, arm in smoke.arms.items():
            assert f"target/{name}_s{seed}" in found
            assert (f"grow/{name}_s{seed}" in found) == (arm.operator is not None)
            for data in smoke.transfer_data:
                assert found[f"transfer/{name}_{data}_s{seed}"].config.init == f"target/{name}_s{seed}"
    assert {run.arm for run in found.values() if run.stage == "transfer"} == {NO_PRETRAINING, *smoke.arms}


def test_every_target_has_the_same_recipe_data_and_order(smoke: Params) -> None:
    targets = [run.config for run in runs(smoke).values() if run.stage == "target" and run.config.seed == 0]
    assert (
        len(
            {
                (c.recipe.model_dump_json(), c.model.model_dump_json(), c.data.folder)
                for c in targets
                if isinstance(c, TrainConfig)
            }
        )
        == 1
    )


def test_only_learned_operators_are_fitted(smoke: Params) -> None:
    for run in runs(smoke).values():
        if isinstance(run.config, GrowConfig):
            assert (run.config.fit is not None) == entry(run.config.operator.name).learned


def test_one_parameter_changes_only_its_own_configs(smoke: Params) -> None:
    raw = smoke.model_dump()
    raw["arms"]["bert2bert-fpi"]["operator"]["options"] = {"noise": 0.5}
    before, after = runs(smoke), runs(Params.model_validate(raw))
    changed = {key for key in before if before[key].config != after[key].config}
    assert changed == {"grow/bert2bert-fpi_s0", "grow/bert2bert-fpi_s1"}


def test_an_unregistered_set_or_operator_is_named(smoke: Params) -> None:
    raw = smoke.model_dump()
    raw["source_data"]["name"] = "imagenot"
    with pytest.raises(UserError, match="'imagenot' is not registered; there are: "):
        data_refs(Params.model_validate(raw))
    with pytest.raises(UserError, match="'mangoo' is not registered; did you mean 'mango'"):
        entry("mangoo")


@pytest.mark.parametrize("name", OPERATORS)
def test_the_registry_agrees_with_the_operators_class(name: str) -> None:
    from regrow.config import OperatorConfig

    assert operator(OperatorConfig(name=name)).learned == entry(name).learned


def test_an_operators_unknown_option_is_refused() -> None:
    from regrow.config import OperatorConfig

    with pytest.raises(UserError, match="operator mango: rank: unknown key; did you mean 'ranks'"):
        operator(OperatorConfig(name="mango", options={"rank": 1}))


def test_code_of_a_stage_is_what_python_imports() -> None:
    """The static list against the modules that a fresh interpreter really loads."""
    listed = {Path(path).resolve() for path in sources("regrow.stages.model")}
    program = (
        "import sys, regrow.stages.model\n"
        "print(*[m.__file__ for n, m in sys.modules.items() if n.startswith('regrow.') and m.__file__], sep='\\n')"
    )
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    registry = {Path(path) for path in loaded if Path(path).stem == "registry"}
    sets = {Path(sys.modules[s.build.__module__].__file__ or "") for s in SETS.values()}
    behind_registry = {Path(path).resolve() for path in sources(*(s.build.__module__ for s in SETS.values()))}
    missing = {Path(path) for path in loaded} - listed - registry - sets - behind_registry
    assert not missing


def test_code_of_one_operator_leaves_out_the_others() -> None:
    files = {Path(path).name for path in sources("regrow.stages.grow", "regrow.growth.depth")}
    assert "depth.py" in files
    assert "mango.py" not in files
    packed = {Path(path).name for path in sources("regrow.data.packing", "regrow.data.mnist")}
    assert "mnist.py" in packed
    assert "icons.py" not in packed


LIGHT = [
    "regrow.cli",
    "regrow.config",
    "regrow.study",
    "regrow.records",
    "regrow.code",
    "regrow.unlock",
    "regrow.report",
]


@pytest.mark.parametrize("module", LIGHT)
def test_planning_and_reporting_import_no_torch(module: str) -> None:
    program = f"import sys, {module}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


ORDER = ["errors", "config", "records", "data", "models", "expand", "growth", "train", "stages"]


def test_dependencies_point_one_way() -> None:
    """config -> data, models -> expand -> growth -> train -> stages; the report reads records only."""
    package = ROOT / "src/regrow"
    for path in package.rglob("*.py"):
        layer = path.relative_to(package).parts[0].removesuffix(".py")
        if layer not in ORDER:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("regrow."):
                imported = node.module.split(".")[1]
                assert imported in ORDER[: ORDER.index(layer) + 1], f"{path}: {layer} imports {imported}"


def test_a_transfer_to_the_opposite_polarity_inverts_at_random() -> None:
    found = runs(load_params(ROOT / "params/mini.yaml"))
    inverted = {
        key: run.config.recipe.augment.invert for key, run in found.items() if isinstance(run.config, TrainConfig)
    }
    assert inverted["transfer/mango_mnist_s0"]
    assert not inverted["transfer/mango_logos_s0"]
    assert not inverted["target/mango_s0"]
