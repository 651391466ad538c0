from __future__ import annotations

import pytest
import timm
import torch
from torch.func import functional_call
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from conftest import TINY
from regrow.config import ModelConfig
from regrow.errors import UserError
from regrow.models.axes import AXES, decays, shapes
from regrow.models.flops import forward_flops, train_flops
from regrow.models.vit import build, check, initial, stack, unstack

DEIT = {
    "deit_tiny_patch16_224": ModelConfig(
        embed_dim=192, depth=12, num_heads=3, patch_size=16, img_size=224, num_classes=1000
    ),
    "deit_small_patch16_224": ModelConfig(
        embed_dim=384, depth=12, num_heads=6, patch_size=16, img_size=224, num_classes=1000
    ),
    "deit_base_patch16_224": ModelConfig(
        embed_dim=768, depth=12, num_heads=12, patch_size=16, img_size=224, num_classes=1000
    ),
}


@pytest.mark.parametrize("name", DEIT)
def test_timm_deit_has_our_names_and_shapes(name: str) -> None:
    with torch.device("meta"):
        state = timm.create_model(name).state_dict()
        assert {key: tuple(value.shape) for key, value in stack(state).items()} == shapes(DEIT[name])


def test_the_axis_table_labels_every_axis_of_every_parameter() -> None:
    assert {name: len(shape) for name, shape in shapes(TINY).items()} == {
        name: len(axes) for name, axes in AXES.items()
    }


def test_our_weights_load_strictly_into_timm_and_compute_the_same() -> None:
    weights = initial(TINY, seed=3)
    model = timm.create_model(
        "deit_tiny_patch16_224", img_size=8, patch_size=4, embed_dim=16, depth=2, num_heads=2, num_classes=10
    )
    model.load_state_dict(unstack(weights), strict=True)
    images = torch.randn(2, 3, 8, 8)
    torch.testing.assert_close(model.eval()(images), functional_call(build(TINY).eval(), unstack(weights), (images,)))


def test_stack_and_unstack_are_inverse() -> None:
    state = build(TINY, seed=0).state_dict()
    back = unstack(stack(state))
    assert list(back) == list(state) or set(back) == set(state)
    assert all(torch.equal(back[name], state[name]) for name in state)


def test_a_checkpoint_with_a_hole_or_a_foreign_parameter_is_refused() -> None:
    state = build(TINY, seed=0).state_dict()
    hole = {name.replace("blocks.1", "blocks.2"): tensor for name, tensor in state.items()}
    with pytest.raises(UserError, match=r"expected blocks 0\.\.2"):
        stack(hole)
    with pytest.raises(UserError, match="unknown parameters dist_token"):
        stack({**state, "dist_token": torch.zeros(1)})


def test_check_names_the_parameter_and_both_shapes() -> None:
    wider = TINY.model_copy(update={"embed_dim": 32})
    with pytest.raises(UserError, match=r"file.x: .*cls_token has shape \(1, 1, 16\), expected \(1, 1, 32\)"):
        check(initial(TINY, seed=0), wider, "file.x")


def test_fresh_weights_depend_on_the_seed_alone() -> None:
    torch.manual_seed(1)
    first = initial(TINY, seed=5)
    torch.manual_seed(2)
    before = torch.random.get_rng_state()
    again = initial(TINY, seed=5)
    assert torch.equal(before, torch.random.get_rng_state())
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["cls_token"], initial(TINY, seed=6)["cls_token"])


def test_weight_decay_follows_timm() -> None:
    from timm.optim import param_groups_weight_decay

    model = build(TINY)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    groups = param_groups_weight_decay(model, weight_decay=0.1, no_weight_decay_list=tuple(model.no_weight_decay()))
    ours = {name: decays(name) for name in AXES}
    for group in groups:
        for parameter in group["params"]:
            stacked = next(iter(stack({names[id(parameter)].replace("blocks.1.", "blocks.0."): parameter})))
            assert ours[stacked] == (group["weight_decay"] > 0), stacked


@pytest.mark.parametrize(("name", "expected"), [("deit_small_patch16_224", 9.20e9), ("deit_base_patch16_224", 35.13e9)])
def test_forward_flops_of_deit(name: str, expected: float) -> None:
    assert forward_flops(DEIT[name]) == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("class_token", [True, False])
def test_flops_agree_with_torchs_counter(class_token: bool) -> None:
    config = TINY.model_copy(update={"class_token": class_token, "depth": 3})
    model = build(config, seed=0)
    images = torch.randn(2, 3, 8, 8, requires_grad=True)
    with FlopCounterMode(display=False) as forward:
        logits = model(images)
    with FlopCounterMode(display=False) as backward:
        logits.sum().backward()
    assert forward.get_total_flops() == pytest.approx(2 * forward_flops(config), rel=0.01)
    both = forward.get_total_flops() + backward.get_total_flops()
    assert both == pytest.approx(2 * train_flops(config), rel=0.06)


@pytest.mark.parametrize("class_token", [True, False])
@pytest.mark.parametrize("name", DEIT)
def test_flops_of_deit_agree_with_torchs_counter(name: str, class_token: bool) -> None:
    """Forward and backward of two images on the meta device, with attention as plain matmuls.

    What torch counts less is the gradient of the images, which training needs no more than the counter sees.
    """
    config = DEIT[name].model_copy(update={"class_token": class_token})
    with torch.device("meta"), sdpa_kernel(SDPBackend.MATH):
        model, images = build(config), torch.empty(2, 3, 224, 224)
        with FlopCounterMode(display=False) as forward:
            logits = model(images)
        with FlopCounterMode(display=False) as backward:
            logits.sum().backward()
    assert forward.get_total_flops() == 2 * forward_flops(config)
    both = forward.get_total_flops() + backward.get_total_flops()
    assert both == pytest.approx(2 * train_flops(config), rel=0.01)


def test_without_a_class_token_the_norm_comes_before_the_mean() -> None:
    model = build(TINY.model_copy(update={"class_token": False}), seed=0).eval()
    images = torch.randn(2, 3, 8, 8)
    tokens = model.forward_features(images)
    torch.testing.assert_close(model(images), model.head(tokens.mean(1)))


def test_another_models_names_are_left_as_they_are() -> None:
    """A MobileNet's `blocks.0.0...` is no stacked parameter; a teacher's state goes through as it is."""
    state = {"blocks.0.0.conv_dw.weight": torch.ones(2, 3)}
    assert unstack(state).keys() == state.keys()
