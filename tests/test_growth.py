"""What the growth operators share, and the closed forms: what each preserves, and where it must not."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from grown_vits import SMALL, grown
from regrow.config import ModelConfig, OperatorConfig
from regrow.errors import UserError
from regrow.growth.operator import Operator
from regrow.growth.registry import OPERATORS, entry, operator, target_config
from regrow.models.axes import shapes
from regrow.models.vit import build, unstack
from small_vits import vit


@pytest.mark.parametrize("name", OPERATORS)
def test_the_registry_agrees_with_the_class(name: str) -> None:
    line = entry(name)
    cls = getattr(importlib.import_module(line.module), line.cls)
    assert cls.learned == line.learned
    assert isinstance(operator(OperatorConfig(name=name)), cls)


def test_an_operator_says_what_its_cores_are() -> None:
    with pytest.raises(TypeError, match=r"abstract class Operator .*cores"):
        Operator()  # type: ignore[abstract]


def test_importing_the_registry_imports_no_torch() -> None:
    code = "import sys, regrow.growth.registry; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@st.composite
def pairs(draw: st.DrawFn) -> tuple[ModelConfig, ModelConfig]:
    """A small and a large ViT: any ratio of width, depth, heads (of one size) and MLP."""
    head_dim, heads, depth = draw(st.sampled_from([4, 8])), draw(st.integers(1, 3)), draw(st.integers(1, 3))
    more = {"class_token": draw(st.booleans())}
    ratios = (draw(st.sampled_from([1.0, 2.0])), draw(st.sampled_from([2.0, 3.0])))
    large = heads + draw(st.integers(0, 3))
    return (
        vit(head_dim * heads, depth, heads, ratios[0], **more),
        vit(head_dim * large, depth + draw(st.integers(0, 2)), large, ratios[1], **more),
    )


DEPTH_ALONE = ("stackbert", "interpolation", "tleg", "share-init", "truncate-stack", "heur-lg", "auto-lg")
FROM_ANY_SIZE = ("weight-selection", "mimetic", "identity", *DEPTH_ALONE[2:])
"""They do not grow: a model of any depth, or of a smaller width, is what they are for."""


def accepted(name: str, source: ModelConfig, target: ModelConfig) -> tuple[ModelConfig, ModelConfig]:
    """A small and a large ViT as the operator takes them."""
    if name in DEPTH_ALONE:
        target = source.model_copy(update={"depth": target.depth})
    if name in ("weight-selection", "heur-lg", "auto-lg"):
        source, target = target, source
    if name in ("tleg", "share-init"):
        source = source.model_copy(update={"depth": {"tleg": 2, "share-init": 1}[name]})
    if name == "identity" or not entry(name).source:
        source = target
    return source, target


@pytest.mark.parametrize("name", OPERATORS)
@settings(max_examples=6, deadline=None)
@given(pair=pairs(), seed=st.integers(0, 9))
def test_any_pair_gives_a_checkpoint_that_timm_loads(
    name: str, pair: tuple[ModelConfig, ModelConfig], seed: int
) -> None:
    """`grow` checks every name and shape; timm then loads strictly, and the same seed gives the same weights."""
    source, target = accepted(name, *pair)
    target = target_config(name, source, target)
    weights = grown(name, target, source, seed=seed)
    build(target).double().load_state_dict(unstack(weights), strict=True)
    again = grown(name, target, source, seed=seed)
    assert all(torch.equal(weights[key], again[key]) for key in shapes(target))
    assert all(tensor.isfinite().all() for tensor in weights.values())


@pytest.mark.parametrize("name", ["net2net", "bert2bert-fpi", "bert2bert-aki", "lemon"])
def test_heads_of_another_size_are_refused_with_a_cure(name: str) -> None:
    with pytest.raises(UserError, match=r"head_dim must stay 8, the target has 16; give the target an embed_dim"):
        grown(name, vit(32, 2, 2))


@pytest.mark.parametrize("name", ["ligo", "ligo-code", "ligo-untied", "mango"])
def test_a_learned_map_takes_heads_of_another_size(name: str) -> None:
    assert grown(name, vit(32, 2, 2))["blocks.attn.qkv.weight"].shape == (2, 3, 32, 32)


@pytest.mark.parametrize("name", [name for name in OPERATORS if name not in FROM_ANY_SIZE])
@pytest.mark.parametrize("target", [vit(8, 2, 1), vit(16, 1, 2)], ids=["narrower", "shallower"])
def test_a_smaller_target_is_refused(name: str, target: ModelConfig) -> None:
    with pytest.raises(UserError, match=r"growth needs a (larger|deeper) target|equal widths"):
        grown(name, target_config(name, SMALL, target))


def test_source_and_target_share_their_images_and_classes() -> None:
    with pytest.raises(UserError, match="must share num_classes: no operator maps it; the source has 3, the target 5"):
        grown("bert2bert-fpi", vit(32, 2, 4, num_classes=5))
