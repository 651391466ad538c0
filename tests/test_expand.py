"""The map itself: its algebra, its special cases and its derivative."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from regrow import expand as expansion
from regrow.expand import Maps, Ring, along, expand, join_blocks, ring, split_blocks
from regrow.models.axes import AXES, MATRICES, axis_sizes
from small_vits import random_weights, vit

TINY = vit(6, 2, 2, mlp_ratio=2.0)


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def cores(ranks: tuple[int, ...], b: int = 8, d: int = 6, layers: int = 2) -> Ring:
    """Random cores to b + 2 blocks, width d + 3 rows by d + 1 columns, layers + 1."""
    p, q, s, u = ranks
    return Ring(
        B=normal(p, b, b + 2, q, seed=1),
        O=normal(q, d, d + 3, s, seed=2),
        L=normal(s, layers, layers + 1, u, seed=3),
        I=normal(u, d, d + 1, p, seed=4),
    )


def test_no_matrix_is_the_identity() -> None:
    basis = random_weights(TINY)
    grown = expand(basis, Maps())
    assert list(grown) == list(basis)
    assert all(torch.equal(grown[name], basis[name]) for name in basis)


def test_joined_blocks_are_where_the_paper_has_them() -> None:
    basis = random_weights(TINY)
    qkv, proj, fc1, fc2 = (basis[name] for name in MATRICES)
    joined = join_blocks(basis)
    assert joined.shape == (8, 6, 6, 2)
    block = joined.permute(0, 3, 2, 1)  # [B, L, O, I]
    for number in range(3):
        assert torch.equal(block[number], qkv[:, number])
    assert torch.equal(block[3], proj)
    for number in range(2):
        part = slice(6 * number, 6 * (number + 1))
        assert torch.equal(block[4 + number], fc1[:, part])
        assert torch.equal(block[6 + number], fc2[:, :, part])


def test_splitting_undoes_joining() -> None:
    basis = random_weights(TINY)
    parts = split_blocks(join_blocks(basis))
    assert all(torch.equal(parts[name], basis[name]) for name in MATRICES)


@pytest.mark.parametrize("ranks", [(1, 1, 1, 1), (2, 3, 2, 2)])
def test_the_ring_is_the_full_map(ranks: tuple[int, ...]) -> None:
    joined, found = normal(8, 6, 6, 2), cores(ranks)
    full = torch.einsum("pbcq,qoxs,slmu,uiyp->cyxmbiol", found.B, found.O, found.L, found.I)
    expected = torch.einsum("cyxmbiol,biol->cyxm", full, joined)
    torch.testing.assert_close(ring(joined, found), expected, rtol=0, atol=1e-11)


def test_a_ring_of_ranks_one_is_a_kronecker_product() -> None:
    joined, found = normal(8, 6, 6, 2), cores((1, 1, 1, 1))
    one_matrix_a_mode = [core[0, :, :, 0].T.contiguous() for core in (found.B, found.I, found.O, found.L)]
    product = one_matrix_a_mode[0]
    for matrix in one_matrix_a_mode[1:]:
        product = torch.kron(product, matrix)
    torch.testing.assert_close(ring(joined, found).flatten(), product @ joined.flatten(), rtol=0, atol=1e-11)


@pytest.mark.parametrize(
    ("rank", "layers"),
    [(1, 12), (2, 12), (1, 24)],
    ids=["DeiT-S to DeiT-B", "rank 2", "twice as deep"],
)
def test_the_ring_costs_what_its_two_width_products_cost(rank: int, layers: int) -> None:
    """The widths are nearly all of the cost: with ranks, R^2 (one product) and R^2 (the other, on a doubled tensor)."""
    blocks, small, large, source_layers = 12, 384, 768, 12
    elements = blocks * small * small * source_layers
    widths = 2 * rank**2 * elements * large * (1 + large // small)
    meta = {"device": "meta", "dtype": torch.float32}
    found = Ring(
        B=torch.empty(rank, blocks, blocks, rank, **meta),
        O=torch.empty(rank, small, large, rank, **meta),
        L=torch.empty(rank, source_layers, layers, rank, **meta),
        I=torch.empty(rank, small, large, rank, **meta),
    )
    with FlopCounterMode(display=False) as counter:
        assert ring(torch.empty(blocks, small, small, source_layers, **meta), found).shape[-1] == layers
    assert widths <= counter.get_total_flops() < 1.1 * widths


def test_above_rank_one_the_ring_keeps_no_product_for_the_backward_pass() -> None:
    joined, found = normal(8, 6, 6, 2), cores((3, 3, 3, 3))
    leaves = [core.requires_grad_() for core in vars(found).values()]
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        ring(joined, found)
    assert sum(kept.values()) <= sum(tensor.nbytes for tensor in (joined, *leaves))


def test_grown_layers_lie_in_memory_as_the_model_reads_them() -> None:
    """Anything else would be copied at every use, forward and backward."""
    basis, wide = random_weights(TINY), normal(9, 6)
    term = dict.fromkeys(("embed", "embed.in", "heads", "heads.in"), wide) | {"depth": normal(3, 2)}
    for maps in (Maps(terms=(term,)), Maps(ring=cores((1, 1, 1, 1), d=6))):
        grown = expand(basis, maps)
        assert all(layer.is_contiguous() for name in MATRICES for layer in grown[name])


@pytest.mark.parametrize("wider", ["mlp", "embed.in"])
def test_of_two_widths_the_cheaper_order_is_taken(wider: str) -> None:
    """fc1 [2, 12, 6]: the axis that grows little goes first, whichever it is."""
    new = {"mlp": 13, "embed.in": 7} | {wider: 40}
    term = {"mlp": normal(new["mlp"], 12), "embed.in": normal(new["embed.in"], 6)}
    name = "blocks.mlp.fc1.weight"
    with FlopCounterMode(display=False) as counter:
        found = expand({name: normal(2, 12, 6)}, Maps(terms=(term,)))[name]
    torch.testing.assert_close(found, term["mlp"] @ normal(2, 12, 6) @ term["embed.in"].T)
    mlp, read = new["mlp"], new["embed.in"]
    orders = (12 * 6 * mlp + mlp * 6 * read, 12 * 6 * read + 12 * read * mlp)
    assert counter.get_total_flops() == 2 * 2 * min(orders)


def test_along_is_a_matrix_product_along_one_axis() -> None:
    tensor, matrix = normal(2, 3, 4, 5), normal(7, 4, seed=1)
    torch.testing.assert_close(along(tensor, 2, matrix), torch.einsum("ji,abic->abjc", matrix, tensor))


@pytest.mark.parametrize("leading", [(2,), (2, 3)], ids=["per layer", "per layer and q, k, v"])
@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (2, 3, 4)], ids=["weight", "bias"])
def test_along_takes_one_matrix_per_leading_axis(leading: tuple[int, ...], shape: tuple[int, ...]) -> None:
    tensor, matrix = normal(*shape), normal(*leading, 6, 4, seed=1)
    found = along(tensor, 2, matrix)
    for layer in range(2):
        for part in range(3):
            each = matrix[layer] if len(leading) == 1 else matrix[layer, part]
            torch.testing.assert_close(found[layer, part], torch.tensordot(each, tensor[layer, part], 1))


def test_a_copying_matrix_is_an_index_with_the_same_result() -> None:
    tensor = normal(3, 4, 5)
    matrix = torch.zeros(6, 4, dtype=torch.float64)
    matrix[[0, 1, 3, 4, 5], [2, 0, 3, 3, 2]] = torch.tensor([1.0, 0.5, -2.0, 1.0, 0.0], dtype=torch.float64)
    expected = torch.einsum("ji,aic->ajc", matrix, tensor)
    with FlopCounterMode(display=False) as counter:
        torch.testing.assert_close(along(tensor, 1, matrix), expected, rtol=0, atol=0)
    assert counter.get_total_flops() == 0


def test_a_trained_matrix_gets_its_whole_gradient_even_while_it_copies() -> None:
    tensor, matrix = normal(3, 4, 5), torch.eye(4, dtype=torch.float64, requires_grad=True)
    (found,) = torch.autograd.grad(along(tensor, 1, matrix).sum(), matrix)
    torch.testing.assert_close(found, tensor.sum((0, 2)).expand(4, 4))


def test_every_axis_of_the_table_is_mapped_once() -> None:
    """All matrices 2 I: a parameter grows by 2 for each of its axes that can grow."""
    basis = random_weights(TINY)
    doubled = {axis: 2 * torch.eye(size, dtype=torch.float64) for axis, size in axis_sizes(TINY).items()}
    for name, grown in expand(basis, Maps(terms=(doubled,))).items():
        factor = 2 ** sum(axis in doubled for axis in AXES[name])
        torch.testing.assert_close(grown, factor * basis[name], rtol=0, atol=1e-14)


def test_a_parameter_can_have_its_own_matrix() -> None:
    basis = random_weights(TINY)
    eye = torch.eye(6, dtype=torch.float64)
    grown = expand(basis, Maps(terms=({"embed.in": 2 * eye, "embed.in@head.weight": 3 * eye},)))
    torch.testing.assert_close(grown["head.weight"], 3 * basis["head.weight"])
    torch.testing.assert_close(grown["blocks.mlp.fc1.weight"], 2 * basis["blocks.mlp.fc1.weight"])


def test_a_further_term_adds_only_where_it_has_a_matrix() -> None:
    basis = random_weights(TINY)
    grown = expand(basis, Maps(terms=({}, {"mlp": torch.eye(12, dtype=torch.float64)})))
    for name, tensor in basis.items():
        factor = 2 if "mlp" in AXES[name] else 1
        torch.testing.assert_close(grown[name], factor * tensor)


def test_a_map_is_followed_by_its_next() -> None:
    basis = random_weights(TINY)
    depth, wide = {"depth": normal(3, 2)}, {"mlp": normal(3, 14, 12, seed=1)}
    grown = expand(basis, Maps(terms=(depth,), then=Maps(terms=(wide,))))
    two_steps = expand(expand(basis, Maps(terms=(depth,))), Maps(terms=(wide,)))
    assert all(torch.equal(grown[name], two_steps[name]) for name in basis)
    assert grown["blocks.mlp.fc1.weight"].shape == (3, 14, 6)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 99), st.floats(-2, 2), st.floats(-2, 2))
def test_expand_is_linear_in_the_basis(seed: int, left: float, right: float) -> None:
    one, two = random_weights(TINY, 2 * seed), random_weights(TINY, 2 * seed + 1)
    maps = Maps(terms=({"embed": normal(9, 6)}, {"mlp": normal(12, 12)}), ring=cores((1, 2, 1, 2)))
    mixed = expand({name: left * one[name] + right * two[name] for name in one}, maps)
    first, second = expand(one, maps), expand(two, maps)
    for name, found in mixed.items():
        torch.testing.assert_close(found, left * first[name] + right * second[name], rtol=0, atol=1e-9)


def test_expand_is_differentiable_in_the_basis_and_the_maps() -> None:
    config = vit(2, 2, 1, mlp_ratio=1.0)
    basis = random_weights(config)
    names, tensors = list(basis), list(basis.values())
    maps = [normal(3, 2), normal(2, 3, 3, 2), normal(2, 3, 2)]
    found = cores((1, 2, 1, 1), b=6, d=2)
    ringed = [found.B, found.O, found.L, found.I]

    def axes(*inputs: Tensor) -> tuple[Tensor, ...]:
        embed, heads, mlp = inputs[:3]
        term = {"embed": embed, "heads": heads, "mlp": mlp}
        grown = expand(dict(zip(names, inputs[3:], strict=True)), Maps(terms=(term, {"mlp": mlp})))
        return tuple(grown.values())

    def around(b: Tensor, o: Tensor, layers: Tensor, i: Tensor) -> tuple[Tensor, ...]:
        grown = expand(basis, Maps(ring=Ring(B=b, O=o, L=layers, I=i)))
        return tuple(grown[name] for name in MATRICES)

    leaves = [tensor.clone().requires_grad_() for tensor in (*maps, *tensors)]
    assert torch.autograd.gradcheck(axes, leaves, fast_mode=True)
    assert torch.autograd.gradcheck(around, [core.requires_grad_() for core in ringed], fast_mode=True)


def test_a_constant_matrix_is_looked_into_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a GPU to look is to wait; what is known goes with the matrix."""
    looks, real = [], Tensor.count_nonzero

    def counted(self: Tensor, *arguments: int) -> Tensor:
        looks.append(1)
        return real(self, *arguments)

    monkeypatch.setattr(Tensor, "count_nonzero", counted)
    tensor, picks, mixes = torch.randn(3, 4), torch.eye(3)[[0, 2, 2, 1]], torch.ones(2, 3)
    for _ in range(3):
        assert torch.equal(along(tensor, 0, picks), tensor[[0, 2, 2, 1]])
        torch.testing.assert_close(along(tensor, 0, mixes), tensor.sum(0, keepdim=True).expand(2, -1))
    assert len(looks) == 2
    held = len(expansion._KNOWN)
    del picks, mixes
    assert len(expansion._KNOWN) == held - 2
