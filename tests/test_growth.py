"""What the growth operators share, and the closed forms: what each preserves, and where it must not."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.func import functional_call
from torch.nn.functional import cross_entropy

from regrow.config import ModelConfig, OperatorConfig
from regrow.errors import UserError
from regrow.growth.mimetic import halves, near_identity
from regrow.growth.operator import break_symmetry, grow
from regrow.growth.registry import OPERATORS, entry, operator, target_config
from regrow.models.axes import shapes
from regrow.models.vit import Tensors, build, unstack
from small_vits import images, logits, module, named, random_weights, relative, vit

EXACT = 1e-12
SMALL = vit(16, 2, 2)
TWICE = vit(32, 2, 4)


def grown(name: str, target: ModelConfig, source: ModelConfig = SMALL, seed: int = 0, **options: object) -> Tensors:
    return grow(named(name, **options), random_weights(source), source, target, seed)


def error(name: str, target: ModelConfig, source: ModelConfig = SMALL, **options: object) -> float:
    """How far the grown model's logits are from the source's."""
    found = logits(grown(name, target, source, **options), target)
    return relative(found, logits(random_weights(source), source))


def gradients(weights: Tensors, config: ModelConfig) -> Tensors:
    leaves = {name: tensor.clone().requires_grad_() for name, tensor in weights.items()}
    answer = functional_call(module(config), unstack(leaves), (images(config),))
    loss = cross_entropy(answer, torch.arange(len(answer)) % config.num_classes)
    return dict(zip(leaves, torch.autograd.grad(loss, list(leaves.values())), strict=True))


# The registry


@pytest.mark.parametrize("name", OPERATORS)
def test_the_registry_agrees_with_the_class(name: str) -> None:
    line = entry(name)
    cls = getattr(importlib.import_module(line.module), line.cls)
    assert cls.learned == line.learned
    assert isinstance(operator(OperatorConfig(name=name)), cls)


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


# Function-preserving initialisation


@pytest.mark.parametrize("name", ["bert2bert-fpi", "net2net", "ligo-untied", "mango"])
@pytest.mark.parametrize("target", [TWICE, vit(48, 2, 6)], ids=["2x", "3x"])
def test_equal_copies_preserve_the_function(name: str, target: ModelConfig) -> None:
    options = {"copies": "circular"} if name == "net2net" else {}
    assert error(name, target, noise=0, **options) < EXACT


@pytest.mark.parametrize("name", ["bert2bert-fpi", "net2net", "ligo-untied", "mango"])
def test_unequal_copies_do_not(name: str) -> None:
    options = {"copies": "circular"} if name == "net2net" else {}
    assert error(name, vit(24, 2, 3), noise=0, **options) > 1e-2


@pytest.mark.parametrize("name", ["bert2bert-fpi", "net2net"])
def test_random_copies_do_not(name: str) -> None:
    """The default of Net2Net, an option of bert2BERT."""
    options = {} if name == "net2net" else {"copies": "random"}
    assert error(name, TWICE, noise=0, **options) > 1e-2


def test_random_copies_are_of_whole_heads() -> None:
    weights = grown("bert2bert-fpi", vit(64, 2, 8), noise=0, copies="random")["blocks.attn.qkv.bias"]
    source = random_weights(SMALL)["blocks.attn.qkv.bias"].unflatten(2, (2, 1, 8))
    heads = weights.unflatten(2, (1, 8, 8))
    matches = (heads == source).all(-1).all(0).all(0)  # [source head, target head]
    assert bool((matches.sum(0) == 1).all())


@pytest.mark.parametrize("copies", ["circular", "random"])
def test_neurons_may_have_unequal_copies(copies: str) -> None:
    """LayerNorm sees the stream only: an MLP 1.5 times as wide stays exact however its neurons are copied."""
    assert error("bert2bert-fpi", vit(16, 2, 2, mlp_ratio=6.0), noise=0, copies=copies) < EXACT


def test_copies_get_identical_gradients_for_ever() -> None:
    weights = grown("bert2bert-fpi", TWICE, noise=0)
    found = gradients(weights, TWICE)
    for name, axis in (("blocks.mlp.fc1.weight", 1), ("blocks.attn.proj.weight", 2), ("patch_embed.proj.weight", 0)):
        first, second = found[name].chunk(2, axis)
        assert relative(first, second) < EXACT, name


@pytest.mark.parametrize("name", ["bert2bert-fpi", "bert2bert-aki", "net2net", "lemon"])
def test_noise_or_a_random_split_sets_the_copies_apart(name: str) -> None:
    options = {"copies": "circular"} if name == "net2net" else {}
    found = gradients(grown(name, TWICE, **options), TWICE)
    for parameter, axis in (("blocks.mlp.fc1.weight", 1), ("patch_embed.proj.weight", 0), ("cls_token", 2)):
        first, second = found[parameter].chunk(2, axis)
        assert relative(first, second) > 1e-4, parameter


def test_noise_goes_to_the_matrices_in_their_own_scale() -> None:
    weights = {name: 5 * tensor for name, tensor in random_weights(vit(48, 2, 4)).items()}
    noisy = break_symmetry(weights, 0.1, torch.Generator().manual_seed(0))
    for name, tensor in weights.items():
        change = float((noisy[name] - tensor).std() / tensor.std()) if noisy[name] is not tensor else 0.0
        matrix = name.endswith(".weight") and "norm" not in name and not name.startswith("head")
        assert change == (pytest.approx(0.1, rel=0.1) if matrix else 0.0), name


# Depth


@pytest.mark.parametrize(
    ("name", "expected"), [("stackbert", [0, 1, 2, 0, 1]), ("interpolation", [0, 0, 1, 1, 2])], ids=["stack", "repeat"]
)
def test_depth_operators_copy_whole_layers(name: str, expected: list[int]) -> None:
    source = vit(16, 3, 2)
    basis = random_weights(source)
    weights = grown(name, vit(16, 5, 2), source)
    for key, tensor in weights.items():
        assert torch.equal(tensor, basis[key][expected] if key.startswith("blocks.") else basis[key])


@pytest.mark.parametrize("rule", ["stack", "interpolate"])
def test_net2nets_new_layers_are_the_identity(rule: str) -> None:
    assert error("net2net", vit(16, 5, 2), noise=0, depth=rule) < EXACT
    stacked = grown("net2net", vit(16, 5, 2), noise=0, depth=rule)["blocks.mlp.fc1.weight"]
    assert bool((stacked.abs().sum((1, 2)) > 0).all())


# Advanced knowledge initialisation


def test_akis_new_rows_are_the_next_layers() -> None:
    source, target = vit(16, 3, 2), vit(32, 3, 4)
    fpi, aki = grown("bert2bert-fpi", target, source, noise=0), grown("bert2bert-aki", target, source, noise=0)
    borrowing = {"blocks.attn.qkv": (2, 16), "blocks.mlp.fc1": (1, 64)}
    for name, tensor in fpi.items():
        layer = name.rpartition(".")[0]
        if layer not in borrowing:
            assert torch.equal(aki[name], tensor), name
            continue
        axis, kept = borrowing[layer]
        old, new = (part.movedim(axis, 0) for part in (tensor, aki[name]))
        assert torch.equal(new[:kept], old[:kept]), "the first rows are the layer's own"
        torch.testing.assert_close(new[kept:, :-1], old[kept:, 1:], rtol=0, atol=1e-15)
        assert torch.equal(new[:, -1], old[:, -1]), "the last layer has no next"


def test_akis_next_layer_is_the_sources_before_stacking() -> None:
    source = vit(16, 2, 2)
    wide, deep = (grown("bert2bert-aki", vit(32, depth, 4), source, noise=0) for depth in (2, 4))
    for name, tensor in wide.items():
        expected = torch.cat([tensor, tensor]) if name.startswith("blocks.") else tensor
        torch.testing.assert_close(deep[name], expected, rtol=0, atol=1e-15)


def test_aki_sets_neurons_apart_and_not_the_stream() -> None:
    found = gradients(grown("bert2bert-aki", TWICE, noise=0), TWICE)
    first, second = found["blocks.mlp.fc1.weight"][:1].chunk(2, 1)
    assert relative(first, second) > 1e-2
    first, second = found["patch_embed.proj.weight"].chunk(2, 0)
    assert relative(first, second) < EXACT


# LEMON


LEMON_PAIRS = {
    "1.67x wide, 1.67x deep": (vit(48, 3, 3), vit(80, 5, 5)),
    "2.5x wide": (vit(16, 2, 2), vit(40, 2, 5)),
    "another MLP": (vit(16, 2, 2, mlp_ratio=4.0), vit(24, 3, 3, mlp_ratio=3.5)),
    "2x": (SMALL, TWICE),
    "deeper": (SMALL, vit(16, 5, 2)),
}


@pytest.mark.parametrize("rule", ["stack", "interpolate"])
@pytest.mark.parametrize("pair", LEMON_PAIRS.values(), ids=LEMON_PAIRS)
def test_lemon_is_lossless(pair: tuple[ModelConfig, ModelConfig], rule: str) -> None:
    source, target = pair
    assert error("lemon", target_config("lemon", source, target), source, depth=rule) < EXACT


def test_lemons_eps_travels_with_the_target() -> None:
    source, given = LEMON_PAIRS["1.67x wide, 1.67x deep"]
    target = target_config("lemon", source, given)
    assert target.norm_eps == pytest.approx(source.norm_eps * 48 / 80)
    assert target_config("bert2bert-fpi", source, given) == given
    with pytest.raises(UserError, match=r"lossless only with norm_eps 0\.006 in the target, got 0\.01"):
        grown("lemon", given, source)
    lossy = logits(grown("lemon", target, source), given)
    assert relative(lossy, logits(random_weights(source), source)) > 1e-5


def test_lemons_copies_get_different_gradients_everywhere() -> None:
    source, given = vit(16, 2, 2), vit(40, 3, 5)
    target = target_config("lemon", source, given)
    found = gradients(grown("lemon", target, source), target)
    pieces = {"patch_embed.proj.weight": (0, 16), "blocks.mlp.fc1.weight": (1, 64), "blocks.attn.qkv.weight": (2, 16)}
    for name, (axis, size) in pieces.items():
        first, second = found[name].split(size, axis)[:2]
        assert relative(first, second) > 1e-4, name


def test_lemon_leaves_nothing_of_the_residue_dead() -> None:
    """The columns that read it are random, and what it writes has a gradient."""
    source, given = vit(16, 2, 2), vit(24, 2, 3)
    target = target_config("lemon", source, given)
    weights = grown("lemon", target, source)
    assert float(weights["blocks.mlp.fc1.weight"][:, :, 16:].std()) == pytest.approx(0.02, rel=0.1)
    assert float(weights["blocks.norm1.bias"][:, 16:].abs().max()) == 0
    found = gradients(weights, target)
    assert float(found["patch_embed.proj.weight"][16:].abs().min()) > 0


# Weight selection and mimetic initialisation


@pytest.mark.parametrize(("large", "small"), [(32, 16), (24, 16)])
def test_weight_selection_picks_evenly(large: int, small: int) -> None:
    source, target = vit(large, 3, large // 8), vit(small, 2, small // 8)
    basis, found = random_weights(source), grown("weight-selection", target, source)
    picked = (
        [index * 2 for index in range(16)] if large == 32 else [0, 2, 3, 5, 6, 8, 9, 11, 12, 14, 15, 17, 18, 20, 21, 23]
    )
    qkv, name = basis["blocks.attn.qkv.weight"], "blocks.attn.qkv.weight"
    assert torch.equal(found[name], qkv[:2][:, :, picked][..., picked])
    assert torch.equal(found["patch_embed.proj.weight"], basis["patch_embed.proj.weight"][picked])
    assert torch.equal(found["head.weight"], basis["head.weight"][:, picked])


def test_weight_selection_does_not_grow() -> None:
    with pytest.raises(UserError, match=r"from large to small: .*embed.* would grow"):
        grown("weight-selection", TWICE)


def test_mimetic_attention_has_the_papers_statistics() -> None:
    config = vit(48, 2, 3)
    basis = random_weights(config)
    weights = grow(named("mimetic"), basis, config, config, 0)
    qkv, proj = weights["blocks.attn.qkv.weight"], weights["blocks.attn.proj.weight"]
    product = proj @ qkv[:, 2]
    diagonal, others = product.diagonal(dim1=1, dim2=2), product[:, ~torch.eye(48, dtype=torch.bool)]
    assert float(diagonal.mean()) == pytest.approx(-0.4, abs=0.03)
    assert float(others.std()) == pytest.approx(0.4 / 48**0.5, rel=0.05)
    query, key = (qkv[:, part].unflatten(1, (3, 16)) for part in (0, 1))
    attention = query.mT @ key
    assert float(attention.diagonal(dim1=2, dim2=3).mean()) > 0.2
    assert int(torch.linalg.matrix_rank(attention).max()) == 16
    assert relative(attention.mT, attention) > 0.3, "queries are not keys"
    rest = set(weights) - {"blocks.attn.qkv.weight", "blocks.attn.proj.weight"}
    assert all(torch.equal(weights[name], basis[name]) for name in rest)


def test_mimetic_halves_are_the_best_approximation() -> None:
    product = near_identity(12, 0.7, 0.7, torch.Generator().manual_seed(0))
    left, right = halves(product, 12)
    torch.testing.assert_close(left @ right, product, rtol=0, atol=EXACT)
    torch.testing.assert_close(left.mT @ left, right @ right.mT, rtol=0, atol=EXACT)
    left, right = halves(product, 5)
    tail = torch.linalg.svdvals(product)[5:]
    torch.testing.assert_close((product - left @ right).norm(), tail.norm(), rtol=0, atol=EXACT)
    torch.testing.assert_close(left.square().sum(0), right.square().sum(1), rtol=0, atol=EXACT)


def test_mimetic_takes_no_source() -> None:
    with pytest.raises(UserError, match="leave `source` out"):
        grown("mimetic", TWICE)


def test_source_and_target_share_their_images_and_classes() -> None:
    with pytest.raises(UserError, match="must share num_classes: no operator maps it; the source has 3, the target 5"):
        grown("bert2bert-fpi", vit(32, 2, 4, num_classes=5))


def chunk_equal(tensor: Tensor, axis: int) -> bool:
    first, second = tensor.chunk(2, axis)
    return torch.equal(first, second)


def test_the_seed_draws_the_copies() -> None:
    one, two = (grown("bert2bert-fpi", TWICE, copies="random", noise=0, seed=seed) for seed in (0, 1))
    assert not torch.equal(one["blocks.mlp.fc1.weight"], two["blocks.mlp.fc1.weight"])
    assert chunk_equal(grown("bert2bert-fpi", TWICE, noise=0)["patch_embed.proj.weight"], 0)
    assert not chunk_equal(one["patch_embed.proj.weight"], 0)
