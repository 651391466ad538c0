"""A learngene and its descendants against theta_l = theta_B + (l - 1) / L theta_A, and the inits beside them."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch.func import functional_call
from torch.nn.functional import cross_entropy

from regrow.cli import main
from regrow.config import Kind, ModelConfig
from regrow.errors import UserError
from regrow.expand import expand
from regrow.growth.learngene import auxiliary_basis, auxiliary_maps, basis_config
from regrow.growth.operator import grow
from regrow.models.vit import Tensors, build, initial, unstack
from regrow.train.checkpoint import save_tensors
from small_vits import images, logits, module, named, random_weights, relative, vit

EXACT = 1e-12
AUXILIARY = vit(16, 5, 2, class_token=False)
BASIS = basis_config(AUXILIARY, "tleg")
SHARED = basis_config(AUXILIARY, "share")


def deep(depth: int, embed_dim: int = 16, num_heads: int = 2) -> ModelConfig:
    return vit(embed_dim, depth, num_heads, class_token=False)


def by_hand(basis: Tensors, depth: int) -> Tensors:
    """The state dict of a descendant, one timm parameter at a time."""
    entries, state = unstack(basis), {}
    for name, tensor in entries.items():
        if name.startswith("blocks.0."):
            suffix = name.removeprefix("blocks.0.")
            for number in range(1, depth + 1):
                state[f"blocks.{number - 1}.{suffix}"] = tensor + (number - 1) / depth * entries[f"blocks.1.{suffix}"]
        elif not name.startswith("blocks."):
            state[name] = tensor
    return state


# Expansion


@pytest.mark.parametrize("depth", [1, 3, 5, 7])
def test_a_descendant_is_the_linear_expansion(depth: int) -> None:
    basis = random_weights(BASIS)
    state, expected = unstack(grow(named("tleg"), basis, BASIS, deep(depth), 0)), by_hand(basis, depth)
    assert state.keys() == expected.keys()
    for name, tensor in expected.items():
        torch.testing.assert_close(state[name], tensor, rtol=0, atol=EXACT)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.float64, EXACT)], ids=str)
def test_a_descendant_of_its_depth_is_the_auxiliary_net(dtype: torch.dtype, tolerance: float) -> None:
    basis = {name: tensor.to(dtype) for name, tensor in random_weights(BASIS).items()}
    auxiliary = expand(basis, auxiliary_maps(AUXILIARY, "tleg", basis))
    descendant = grow(named("tleg"), basis, BASIS, AUXILIARY, 0)
    model, pixels = build(AUXILIARY).to(dtype).eval(), images(AUXILIARY).to(dtype)
    expected = functional_call(model, by_hand(basis, AUXILIARY.depth), (pixels,))
    for weights in (auxiliary, descendant):
        assert relative(functional_call(model, unstack(weights), (pixels,)), expected) < tolerance


def test_gradients_reach_both_entries() -> None:
    """Of theta_B the sum of the layers' gradients, of theta_A their sum weighted by (l - 1) / L."""
    basis = {name: tensor.requires_grad_() for name, tensor in random_weights(BASIS).items()}
    labels = torch.arange(4) % AUXILIARY.num_classes

    def loss(state: Tensors) -> torch.Tensor:
        return cross_entropy(functional_call(module(AUXILIARY), state, (images(AUXILIARY),)), labels)

    loss(unstack(expand(basis, auxiliary_maps(AUXILIARY, "tleg", basis)))).backward()
    layers = {name: tensor.detach().requires_grad_() for name, tensor in by_hand(basis, AUXILIARY.depth).items()}
    loss(layers).backward()
    for name, gradient in unstack({name: tensor.grad for name, tensor in basis.items()}).items():
        if not name.startswith("blocks."):
            expected = layers[name].grad
        else:
            entry, suffix = name.removeprefix("blocks.").split(".", 1)
            expected = sum(
                (number / AUXILIARY.depth if entry == "1" else 1) * layers[f"blocks.{number}.{suffix}"].grad
                for number in range(AUXILIARY.depth)
            )
        torch.testing.assert_close(gradient, expected, rtol=0, atol=EXACT)


def test_share_init_is_one_layer_everywhere() -> None:
    basis = random_weights(SHARED)
    weights = grow(named("share-init"), basis, SHARED, AUXILIARY, 0)
    auxiliary = expand(basis, auxiliary_maps(AUXILIARY, "share", basis))
    for name, tensor in basis.items():
        expected = torch.cat([tensor] * AUXILIARY.depth) if name.startswith("blocks.") else tensor
        assert torch.equal(weights[name], expected)
        assert torch.equal(auxiliary[name], expected)


# The start of its training


def test_tlegs_start_is_the_public_codes() -> None:
    basis = auxiliary_basis(deep(5, 64, 4), "tleg", seed=0)
    for name, tensor in basis.items():
        if name.startswith("blocks.norm") and name.endswith("weight"):
            assert torch.equal(tensor, torch.tensor([[1.0], [0.0]]).expand_as(tensor)), name
        elif name.startswith("blocks.") and name.endswith("weight"):
            deviation = tensor.flatten(1).std(1)
            torch.testing.assert_close(deviation, torch.full((2,), 0.02), rtol=0.05, atol=0)
            assert not torch.equal(tensor[0], tensor[1])
        elif name.startswith("blocks."):
            assert not tensor.any(), name


@pytest.mark.parametrize("kind", ["tleg", "share"])
def test_the_rest_starts_as_timm_has_it(kind: Kind) -> None:
    basis, fresh = auxiliary_basis(AUXILIARY, kind, seed=3), initial(basis_config(AUXILIARY, kind), seed=3)
    for name, tensor in fresh.items():
        if kind == "share" or not name.startswith("blocks.norm"):
            assert torch.equal(basis[name], tensor), name


# Grown in width too


@pytest.mark.parametrize("name", ["bert2bert-fpi", "mango", "ligo-untied"])
def test_a_learngene_is_grown_in_width_and_then_in_depth(name: str) -> None:
    """Both entries go by the same map, so at twice the width the wide descendant computes the narrow one's function."""
    basis, wide = random_weights(BASIS), deep(7, 32, 4)
    narrow = logits(grow(named("tleg"), basis, BASIS, deep(7), 0), deep(7))
    grown = grow(named(name, depth="tleg", noise=0), basis, BASIS, wide, 0)
    assert relative(logits(grown, wide), narrow) < EXACT
    assert relative(logits(grow(named(name, depth="tleg"), basis, BASIS, wide, 0), wide), narrow) > 1e-4, "noise"


@pytest.mark.parametrize("name", ["bert2bert-aki", "net2net", "lemon"])
def test_what_needs_a_trained_models_layers_refuses_a_learngene(name: str) -> None:
    with pytest.raises(UserError, match=r"depth: tleg expands a learngene, and .*; take stack or interpolate"):
        grow(named(name, depth="tleg"), random_weights(BASIS), BASIS, deep(4, 32, 4), 0)


@pytest.mark.parametrize(("name", "entries"), [("tleg", 2), ("share-init", 1)])
def test_a_trained_model_is_no_learngene(name: str, entries: int) -> None:
    with pytest.raises(UserError, match=rf"a learngene of {entries} entries, the source has 3 layers; give it a learn"):
        grow(named(name), random_weights(deep(3)), deep(3), deep(6), 0)


# What is inherited from one trained model


@pytest.mark.parametrize(("depth", "expected"), [(2, [0, 1]), (3, [0, 1, 2]), (5, [0, 1, 2, 0, 1])])
def test_truncate_stack_takes_the_first_layers_or_stacks_all(depth: int, expected: list[int]) -> None:
    basis = random_weights(deep(3))
    for name, tensor in grow(named("truncate-stack"), basis, deep(3), deep(depth), 0).items():
        assert torch.equal(tensor, basis[name][expected] if name.startswith("blocks.") else basis[name])


def test_identity_copies_its_own_architecture_only() -> None:
    basis = random_weights(AUXILIARY)
    assert all(
        torch.equal(tensor, basis[name])
        for name, tensor in grow(named("identity"), basis, AUXILIARY, AUXILIARY, 0).items()
    )
    with pytest.raises(UserError, match="identity copies a model of the same architecture"):
        grow(named("identity"), basis, AUXILIARY, deep(4), 0)


FRESH = None
PLACES = {
    "heur-lg, as deep": ("heur-lg", 12, [FRESH] * 9 + [9, 10, 11]),
    "heur-lg, shallow": ("heur-lg", 5, [FRESH] * 2 + [9, 10, 11]),
    "heur-lg, shallower than the learngene": ("heur-lg", 2, [10, 11]),
    "heur-lg, deeper": ("heur-lg", 14, [FRESH] * 11 + [9, 10, 11]),
    "auto-lg, as deep": ("auto-lg", 12, [0, 1, 2, 3, 4, 5] + [FRESH] * 6),
    "auto-lg, shallow": ("auto-lg", 8, [0, 1, 2, 3, 4, 5, FRESH, FRESH]),
    "auto-lg, shallower than the learngene": ("auto-lg", 3, [0, 1, 2]),
}


@pytest.mark.parametrize(("name", "depth", "places"), PLACES.values(), ids=PLACES)
def test_the_ancestors_layers_keep_their_end_and_the_others_are_fresh(
    name: str, depth: int, places: list[int | None]
) -> None:
    ancestor, target = deep(12, 8), deep(depth, 8)
    basis = random_weights(ancestor)
    weights = grow(named(name), basis, ancestor, target, 0)
    other = grow(named(name), basis, ancestor, target, 1)
    for parameter, tensor in weights.items():
        if not parameter.startswith("blocks."):
            assert torch.equal(tensor, basis[parameter]), parameter
            continue
        for layer, place in enumerate(places):
            if place is not FRESH:
                assert torch.equal(tensor[layer], basis[parameter][place]), (parameter, layer)
            elif parameter.endswith("norm1.weight"):
                assert torch.equal(tensor[layer], torch.ones_like(tensor[layer]))
            elif parameter.endswith("weight") and "norm" not in parameter:
                assert 0.012 < float(tensor[layer].std()) < 0.028
                assert not torch.equal(tensor[layer], other[parameter][layer]), "the seed draws the fresh layers"
            elif parameter.endswith("bias"):
                assert not tensor[layer].any()


def test_the_number_of_inherited_layers_is_an_option() -> None:
    basis, target = random_weights(deep(4)), deep(3)
    weights = grow(named("heur-lg", layers=2), basis, deep(4), target, 0)
    assert torch.equal(weights["blocks.mlp.fc1.weight"][1:], basis["blocks.mlp.fc1.weight"][2:])
    with pytest.raises(UserError, match="layers: 5 of an ancestor that has 4; give at most 4"):
        grow(named("auto-lg", layers=5), basis, deep(4), target, 0)


# The command


@pytest.mark.parametrize(("config", "name"), [(BASIS, "tleg"), (SHARED, "share-init")])
def test_expand_writes_a_checkpoint_that_timm_loads(config: ModelConfig, name: str, tmp_path: Path) -> None:
    basis = {key: tensor.float() for key, tensor in random_weights(config).items()}
    save_tensors(tmp_path / "learngene.safetensors", unstack(basis))
    out = tmp_path / "seven.safetensors"
    command = ["expand", "--learngene", str(tmp_path / "learngene.safetensors"), "--out", str(out), "--heads", "2"]
    assert main([*command, "--depth", "7"]) == 0
    state, summary = load_file(out), json.loads(out.with_suffix(".json").read_text())
    target = ModelConfig.model_validate(summary["model"])
    assert target == deep(7).model_copy(update={"norm_eps": 1e-6})
    build(target).load_state_dict(state, strict=True)
    expected = unstack(grow(named(name), basis, config, deep(7), 0))
    assert all(torch.equal(state[key], tensor) for key, tensor in expected.items())
    assert summary["parameters"] == sum(math.prod(tensor.shape) for tensor in expected.values())


def test_expand_names_what_is_wrong_with_the_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for file, config in (("model", deep(3)), ("learngene", BASIS)):
        save_tensors(tmp_path / f"{file}.safetensors", unstack(random_weights(config)))
    out = tmp_path / "out.safetensors"
    for file, depth, cure in (
        ("model", "4", "not a learngene: 3 layers"),
        ("learngene", "4", "its width 16 is no multiple of 64, DeiT's head_dim; give --heads"),
        ("learngene", "0", "--depth 0: give 1 or more"),
    ):
        command = ["expand", "--learngene", str(tmp_path / f"{file}.safetensors"), "--depth", depth, "--out", str(out)]
        assert main(command) == 2
        assert cure in capsys.readouterr().err
    assert not out.exists()
