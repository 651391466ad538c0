"""LEMON: lossless, and every copy of its own; weight selection and mimetic initialisation by their own statistics."""

from __future__ import annotations

import pytest
import torch

from grown_vits import EXACT, SMALL, TWICE, error, gradients, grown
from regrow.config import ModelConfig
from regrow.errors import UserError
from regrow.growth.mimetic import halves, near_identity
from regrow.growth.operator import grow
from regrow.growth.registry import target_config
from small_vits import logits, named, random_weights, relative, vit

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
