from __future__ import annotations

import ast
import math
import re
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from conftest import ROOT
from regrow.code import sources
from regrow.config import GrowConfig, Params, TrainConfig, canonical, load_params
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
    growth = {run.arm for run in found.values() if run.stage == "transfer" and not run.arm.endswith("-d3")}
    assert growth == {NO_PRETRAINING, *smoke.arms}


@pytest.mark.parametrize("descendants", [False, True])
def test_every_target_has_the_same_recipe_data_and_order(smoke: Params, descendants: bool) -> None:
    targets = [
        run.config
        for run in runs(smoke).values()
        if isinstance(run.config, TrainConfig)
        and (run.stage, run.config.seed, run.arm.endswith("-d3")) == ("target", 0, descendants)
    ]
    alike = {(c.recipe.model_dump_json(), c.model.model_dump_json(), c.data.folder) for c in targets}
    assert (len(targets) > 1, len(alike)) == (True, 1)


def with_learngene(smoke: Params, **changes: object) -> Params:
    raw = smoke.model_dump()
    raw["learngene"] |= changes
    return Params.model_validate(raw)


def test_one_teacher_serves_every_seed_and_auxiliary(smoke: Params) -> None:
    found = runs(smoke)
    teachers = [key for key, run in found.items() if run.stage == "teacher"]
    assert teachers == ["teacher/test-resnet_s0"]
    learngenes = [run.config for run in found.values() if run.stage == "learngene"]
    assert {config.init for config in learngenes} == set(teachers)
    assert {config.seed for config in learngenes} == set(smoke.seeds)


def test_a_descendant_starts_from_the_pair_at_its_own_depth(smoke: Params) -> None:
    assert smoke.learngene
    auxiliary = smoke.learngene.model.model_copy(update={"depth": 6})
    found = runs(with_learngene(smoke, model=auxiliary.model_dump(), depths=[2, 5], transfer_depths=[]))
    for depth in (2, 5):
        config = found[f"grow/tleg-d{depth}_s1"].config
        assert isinstance(config, GrowConfig)
        assert (config.init, config.source.depth, config.target.depth) == ("learngene/tleg_s1", 2, depth)
        assert not config.target.class_token


ARMS = {
    "scratch": {"label": "Scratch"},
    "long": {"label": "Longer", "train": {"duration": "9 steps", "batch_size": 32, "lr": 1e-3}},
    "each": {"label": "Pre-Fin", "operator": {"name": "identity"}, "source": "same"},
    "deep": {"label": "Selection", "operator": {"name": "weight-selection"}, "source": "deepest"},
}


def test_models_to_inherit_from_are_trained_once(smoke: Params) -> None:
    """One for every depth where no depth is given; one in all where it is."""
    learngene = {
        "sources": {"same": {}, "deepest": {"depth": 5}},
        "arms": ARMS,
        "depths": [2, 5],
        "transfer_depths": [5],
    }
    found = runs(with_learngene(smoke, **learngene))
    pretrained = [key for key in found if key.startswith("pretrain/") and "narrow" not in key and key.endswith("_s0")]
    assert pretrained == ["pretrain/same-d2_s0", "pretrain/deepest_s0", "pretrain/same-d5_s0"]
    assert found["grow/each-d2_s0"].config.init == "pretrain/same-d2_s0"
    assert found["grow/deep-d2_s0"].config.init == found["grow/deep-d5_s0"].config.init == "pretrain/deepest_s0"
    deepest, selected = found["pretrain/deepest_s0"].config, found["grow/deep-d2_s0"].config
    assert isinstance(deepest, TrainConfig)
    assert isinstance(selected, GrowConfig)
    assert (deepest.model.depth, selected.source.depth, selected.target.depth) == (5, 5, 2)
    longer, equal = (found[f"target/{arm}-d2_s0"].config for arm in ("long", "scratch"))
    assert isinstance(longer, TrainConfig)
    assert isinstance(equal, TrainConfig)
    assert (longer.recipe.duration, equal.recipe.duration) == ("9 steps", "30 steps")


def test_what_is_transferred_is_an_arms_initial_weights(smoke: Params) -> None:
    sources = {"same": {}, "deepest": {"depth": 5}}
    found = runs(with_learngene(smoke, sources=sources, arms=ARMS, depths=[2, 5], transfer_depths=[5]))
    inits = {run.arm: run.config.init for run in found.values() if "-d" in run.arm and run.stage == "transfer"}
    assert inits == {"scratch-d5": None, "each-d5": "grow/each-d5_s1", "deep-d5": "grow/deep-d5_s1"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"transfer_depths": [4]}, "transfer_depths: 4 is not one of depths"),
        ({"scratch": "tleg"}, "scratch: 'tleg' must name an arm without an operator"),
        ({"sources": {"tleg": {}}}, "'tleg' is the name of an auxiliary and of a source"),
        ({"teacher": {"model": {"name": "test_resnet"}}}, "a teacher needs `recipe`"),
    ],
)
def test_a_learngene_section_that_contradicts_itself_is_refused(
    smoke: Params, changes: dict[str, object], message: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        with_learngene(smoke, **changes)


def test_two_runs_of_one_name_are_refused(smoke: Params) -> None:
    raw = smoke.model_dump()
    raw["arms"]["tleg-d3"] = raw["arms"]["bert2bert-fpi"]
    with pytest.raises(UserError, match="two runs would be called grow/tleg-d3_s0"):
        runs(Params.model_validate(raw))


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
    "regrow.lock",
    "regrow.report",
    "regrow.layers.choice",
    "regrow.verify",
    "regrow.explain",
    "regrow.plan",
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


INHERITING = ("regrow.growth.learngene", "regrow.growth.inherit")
"""The operators of a learngene's study."""


@pytest.mark.parametrize("tier", ["gpu", "paper"])
def test_the_large_tiers_have_every_operator_as_an_arm(tier: str) -> None:
    params = load_params(ROOT / f"params/{tier}.yaml")
    arms = [*params.arms.values(), *(params.learngene.arms.values() if params.learngene else ())]
    used = {arm.operator.name for arm in arms if arm.operator}
    assert used == {name for name, line in OPERATORS.items() if params.learngene or line.module not in INHERITING}
    found = runs(params)
    for name, arm in params.arms.items():
        assert f"target/{name}_s0" in found
        if arm.operator:
            config = found[f"grow/{name}_s0"].config
            assert isinstance(config, GrowConfig)
            assert config.operator == arm.operator
            assert config.init is None or found[config.init].config.stage == "pretrain"


@pytest.mark.parametrize("tier", ["gpu", "paper"])
def test_ligo_as_shipped_is_fitted_by_its_codes_schedule_alone(tier: str) -> None:
    """A warm-up to 2e-4 over 10,000 steps reaches 2e-6 at the end of a fit of 100."""
    params = load_params(ROOT / f"params/{tier}.yaml")
    fit = params.arms["ligo-shipped"].fit
    assert fit
    steps = fit.recipe.steps(1)
    assert fit.lr_candidates == (fit.recipe.lr,) == (pytest.approx(2e-4 * steps / 10_000),)
    assert math.ceil(fit.recipe.warmup * steps) == steps == 100
    assert params.arms["ligo-code"].fit is None


def test_a_transfer_set_may_have_its_own_duration(smoke: Params) -> None:
    assert smoke.transfer.duration == "20 steps"
    few = smoke.transfer_data["digits-few"]
    longer = smoke.model_dump() | {"transfer_data": {"a": few, "b": few.model_copy(update={"duration": "30 epochs"})}}
    recipes = {
        key: run.config.recipe
        for key, run in runs(Params.model_validate(longer)).items()
        if isinstance(run.config, TrainConfig) and run.stage == "transfer"
    }
    assert {recipe.duration for key, recipe in recipes.items() if "_a_" in key} == {"20 steps"}
    assert {recipe.duration for key, recipe in recipes.items() if "_b_" in key} == {"30 epochs"}
    assert len({canonical(recipe.model_copy(update={"duration": "1 step"})) for recipe in recipes.values()}) == 1
    wrong = few.model_copy(update={"duration": "30 epoks"})
    with pytest.raises(ValidationError, match="duration '30 epoks' is not like '3 epochs'"):
        Params.model_validate(smoke.model_dump() | {"transfer_data": {"a": wrong.model_dump()}})
    with pytest.raises(ValidationError, match=r"source_data.duration: only a transfer set has its own"):
        Params.model_validate(smoke.model_dump() | {"source_data": few.model_dump() | {"duration": "3 epochs"}})
