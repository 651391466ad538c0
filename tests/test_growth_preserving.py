"""What growing preserves and where it must not: copies, depth, and the next layer's knowledge."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from grown_vits import EXACT, SMALL, TWICE, error, gradients, grown
from regrow.config import ModelConfig
from regrow.growth.operator import break_symmetry
from small_vits import random_weights, relative, vit

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


def chunk_equal(tensor: Tensor, axis: int) -> bool:
    first, second = tensor.chunk(2, axis)
    return torch.equal(first, second)


def test_the_seed_draws_the_copies() -> None:
    one, two = (grown("bert2bert-fpi", TWICE, copies="random", noise=0, seed=seed) for seed in (0, 1))
    assert not torch.equal(one["blocks.mlp.fc1.weight"], two["blocks.mlp.fc1.weight"])
    assert chunk_equal(grown("bert2bert-fpi", TWICE, noise=0)["patch_embed.proj.weight"], 0)
    assert not chunk_equal(one["patch_embed.proj.weight"], 0)
