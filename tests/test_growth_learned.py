"""The operators that are fitted through the task loss: their equations, special cases, sizes and a short fit."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.func import functional_call
from torch.nn.functional import cross_entropy

from regrow.config import ModelConfig
from regrow.errors import UserError
from regrow.expand import Maps, expand
from regrow.growth.operator import grow
from regrow.growth.registry import OPERATORS
from regrow.models.axes import MATRICES
from regrow.models.vit import Tensors, unstack
from small_vits import images, logits, module, named, random_weights, relative, vit

SMALL, LARGE = vit(12, 2, 2, mlp_ratio=2.0), vit(18, 3, 3, mlp_ratio=2.0)
LEARNED = [name for name, line in OPERATORS.items() if line.learned]
QKV, PROJ, FC1, FC2 = MATRICES


def start(name: str, source: ModelConfig = SMALL, target: ModelConfig = LARGE, **options: object) -> Tensors:
    return named(name, **options).cores(source, target, torch.Generator().manual_seed(0))


def shuffled(cores: Tensors) -> Tensors:
    """Random cores of the same shapes: the equation at a point where nothing is 0 or 1."""
    generator = torch.Generator().manual_seed(1)
    return {name: torch.randn(core.shape, generator=generator, dtype=torch.float64) for name, core in cores.items()}


def close(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-11)


# Mango


@pytest.mark.parametrize(
    ("small", "large", "expected"), [(384, 768, 590_112), (192, 384, 147_744)], ids=["S-B", "Ti-S"]
)
@pytest.mark.parametrize("rank", [1, 2])
def test_mango_has_the_papers_number_of_parameters(small: int, large: int, expected: int, rank: int) -> None:
    source, target = vit(small, 12, small // 64), vit(large, 12, large // 64)
    cores = start("mango", source, target, ranks=[rank] * 4)
    assert sum(core.numel() for name, core in cores.items() if name.startswith("ring.")) == expected * rank**2


def test_mango_at_rank_one_is_one_matrix_per_mode() -> None:
    """With S_B = I: one out-matrix and one in-matrix for every D x D block, so block-diagonal over the MLP's."""
    cores = shuffled(start("mango"))
    cores["ring.B"] = torch.eye(8, dtype=torch.float64).reshape(1, 8, 8, 1)
    basis = random_weights(SMALL)
    out, read, depth = (cores[f"ring.{mode}"][0, :, :, 0].T.contiguous() for mode in "OIL")
    blocks = torch.eye(2, dtype=torch.float64)
    term = {
        **{axis: core for axis, core in cores.items() if not axis.startswith("ring.")},
        "embed": out,
        "heads": out,
        "mlp": torch.kron(blocks, out),
        "embed.in": read,
        "heads.in": read,
        "mlp.in": torch.kron(blocks, read),
        "depth": depth,
    }
    found, expected = expand(basis, named("mango").maps(cores)), expand(basis, Maps(terms=(term,)))
    for name in MATRICES:
        close(found[name], expected[name])


def test_mangos_biases_norms_and_embeddings_go_by_their_own_matrices() -> None:
    cores = shuffled(start("mango"))
    basis = random_weights(SMALL)
    found = expand(basis, named("mango").maps(cores))
    rest = {axis: core for axis, core in cores.items() if not axis.startswith("ring.")}
    expected = expand({name: basis[name] for name in basis if name not in MATRICES}, Maps(terms=(rest,)))
    assert set(found) == set(expected) | set(MATRICES)
    for name, tensor in expected.items():
        close(found[name], tensor)


def test_mangos_further_ranks_start_at_nothing() -> None:
    basis = random_weights(SMALL)
    one, more = (
        grow(named("mango", ranks=ranks, noise=0), basis, SMALL, LARGE, 0) for ranks in ([1] * 4, [2, 3, 2, 2])
    )
    for name in one:
        close(more[name], one[name])


def test_mango_preserves_the_function_when_the_mlp_doubles_too() -> None:
    target = vit(24, 2, 4, mlp_ratio=4.0)
    grown = grow(named("mango", noise=0), random_weights(SMALL), SMALL, target, 0)
    assert relative(logits(grown, target), logits(random_weights(SMALL), SMALL)) < 1e-12


def test_mango_needs_whole_blocks() -> None:
    with pytest.raises(UserError, match=r"must be a whole number, got 2\.0 and 2\.5; LiGO and FPI take any"):
        start("mango", SMALL, vit(24, 2, 4, mlp_ratio=2.5))


# LiGO


@pytest.mark.parametrize("name", ["ligo", "ligo-untied"])
@pytest.mark.parametrize(("rule", "operator"), [("stack", "stackbert"), ("interpolate", "interpolation")])
def test_ligo_of_one_width_starts_as_the_depth_operator(name: str, rule: str, operator: str) -> None:
    basis, target = random_weights(SMALL), SMALL.model_copy(update={"depth": 5})
    found = grow(named(name, depth=rule, noise=0), basis, SMALL, target, 0)
    expected = grow(named(operator), basis, SMALL, target, 0)
    for key in expected:
        close(found[key], expected[key])


def test_ligo_is_the_papers_equation() -> None:
    """Width per small layer, then depth, with the paper's ties."""
    cores, basis = shuffled(start("ligo")), random_weights(SMALL)
    found = expand(basis, named("ligo").maps(cores))
    emb, heads, mlp = cores["embed"], cores["heads"], cores["mlp"]
    depth = {name: core for name, core in cores.items() if name.startswith("depth.")}
    for new in range(LARGE.depth):
        query, proj, fc1, fc2, bias = 0.0, 0.0, 0.0, 0.0, 0.0
        for old in range(SMALL.depth):
            query += depth["depth.attn.qkv"][0, new, old] * heads[old, 0] @ basis[QKV][old, 0] @ emb.T
            proj += depth["depth.attn.proj"][new, old] * emb @ basis[PROJ][old] @ heads[old, 2].T
            fc1 += depth["depth.mlp.fc1"][new, old] * mlp[old] @ basis[FC1][old] @ emb.T
            fc2 += depth["depth.mlp.fc2"][new, old] * emb @ basis[FC2][old] @ mlp[old].T
            bias += depth["depth.attn.qkv"][1, new, old] * heads[old, 1] @ basis["blocks.attn.qkv.bias"][old, 1]
        close(found[QKV][new, 0], query)
        close(found[PROJ][new], proj)
        close(found[FC1][new], fc1)
        close(found[FC2][new], fc2)
        close(found["blocks.attn.qkv.bias"][new, 1], bias)
    close(found["head.weight"], basis["head.weight"] @ emb.T)
    close(found["norm.weight"], emb @ basis["norm.weight"])
    close(found["pos_embed"], basis["pos_embed"] @ emb.T)


def test_ligo_code_is_the_public_codes_equation() -> None:
    """Depth first, then width per large layer; the old channels are kept as they are."""
    cores, basis = shuffled(start("ligo-code")), random_weights(SMALL)
    found = expand(basis, named("ligo-code").maps(cores))
    emb = torch.cat([torch.eye(12, dtype=torch.float64), cores["embed"]])
    for new in range(LARGE.depth):
        value = torch.cat([torch.eye(12, dtype=torch.float64), cores["heads"][new, 2]])
        neuron = torch.cat([torch.eye(24, dtype=torch.float64), cores["mlp"][new]])
        mixed = {name: torch.tensordot(cores[f"depth@{name}"][new], basis[name], 1) for name in (PROJ, FC1, FC2)}
        wide_value = torch.tensordot(cores[f"depth@{QKV}"][2, new], basis[QKV][:, 2], 1)
        fc1_bias = cores["depth@blocks.mlp.fc1.bias"][new] @ basis["blocks.mlp.fc1.bias"]
        close(found[QKV][new, 2], value @ wide_value @ emb.T)
        close(found[PROJ][new], emb @ mixed[PROJ] @ value.T)
        close(found[FC1][new], neuron @ mixed[FC1] @ emb.T)
        close(found[FC2][new], emb @ mixed[FC2] @ neuron.T)
        close(found["blocks.mlp.fc1.bias"][new], neuron @ fc1_bias)
        close(found[FC1][new, :24, :12], mixed[FC1])


def test_ligo_code_starts_at_stackbert_noisy_and_averages() -> None:
    cores = start("ligo-code")
    for name, core in cores.items():
        close(core.sum(-1), torch.ones(core.shape[:-1], dtype=torch.float64))
        if name.startswith("depth"):
            assert core.argmax(-1).expand(3, 3)[0].tolist() == [0, 1, 0], "the layer that stacking copies"
            assert 0 < float(core.min()) < 0.03
        else:
            assert float(core.min()) >= 0


def test_ligo_code_without_growth_in_width_is_stackbert() -> None:
    basis, target = random_weights(SMALL), SMALL.model_copy(update={"depth": 4})
    assert all(name.startswith("depth") for name in start("ligo-code", SMALL, target)), "no matrix without a row"
    found = grow(named("ligo-code", depth_noise=0), basis, SMALL, target, 0)
    expected = grow(named("stackbert"), basis, SMALL, target, 0)
    for key in expected:
        close(found[key], expected[key])


def test_ligos_ties_leave_only_the_gelu_and_eps_between_it_and_the_source() -> None:
    """Written and read maps that are tied to one G / sqrt(C): attention is exact, up to LayerNorm's eps."""
    target, tiny_eps = vit(24, 2, 4, mlp_ratio=2.0, norm_eps=1e-12), vit(12, 2, 2, mlp_ratio=2.0, norm_eps=1e-12)
    basis = random_weights(tiny_eps)
    without_mlp = {**basis, FC2: torch.zeros_like(basis[FC2])}
    for weights, expected in ((without_mlp, 1e-9), (basis, 0.5)):
        grown = grow(named("ligo", noise=0), weights, tiny_eps, target, 0)
        assert relative(logits(grown, target), logits(weights, tiny_eps)) < expected
    assert relative(logits(grown, target), logits(basis, tiny_eps)) > 1e-3, "the ties do not preserve the GELU"


# All of them


@pytest.mark.parametrize("name", LEARNED)
def test_every_core_is_trained(name: str) -> None:
    """A core without a gradient would be dead weight, and the optimiser would have no state to checkpoint."""
    chosen, basis = named(name), random_weights(SMALL)
    cores = {key: core.requires_grad_() for key, core in start(name).items()}
    answer = functional_call(module(LARGE), unstack(expand(basis, chosen.maps(cores))), (images(LARGE),))
    found = torch.autograd.grad(answer.square().sum(), list(cores.values()))
    assert all(float(gradient.abs().max()) > 0 for gradient in found)


@pytest.mark.parametrize("name", LEARNED)
def test_a_few_steps_of_the_operator_lower_the_task_loss(name: str) -> None:
    chosen, basis = named(name), random_weights(SMALL)
    cores = {key: core.requires_grad_() for key, core in start(name).items()}
    optimizer = torch.optim.AdamW(cores.values(), lr=3e-3, weight_decay=0)
    labels = torch.arange(4) % 3
    losses = []
    for _ in range(6):
        answer = functional_call(module(LARGE), unstack(expand(basis, chosen.maps(cores))), (images(LARGE),))
        loss = cross_entropy(answer, labels)
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert losses[-1] < 0.95 * losses[0]


@pytest.mark.parametrize("name", LEARNED)
def test_the_operators_noise_is_drawn_from_the_seed(name: str) -> None:
    one, two = (named(name).cores(SMALL, LARGE, torch.Generator().manual_seed(seed)) for seed in (0, 1))
    assert all(one[key].dtype == torch.float64 for key in one)
    assert any(not torch.equal(one[key], two[key]) for key in one)
