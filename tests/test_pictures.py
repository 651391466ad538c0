"""The operators' pictures: which matrices they show, under which names, and that they are drawn as they are."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from matplotlib.collections import PatchCollection, PathCollection
from matplotlib.figure import Figure

from conftest import ROOT
from regrow.cli import main
from regrow.growth.panels import Panel, panels
from regrow.growth.parts import parts
from regrow.growth.registry import OPERATORS
from regrow.pictures import draw, picture

TITLES = {
    "stackbert": [["depth"]],
    "bert2bert-fpi": [["embed, embed.gain, embed.shift, heads", "embed.in, heads.in", "mlp", "mlp.in", "depth"]],
    "bert2bert-aki": [
        ["embed, embed.gain, embed.shift, heads", "embed.in, heads.in", "mlp", "mlp.in", "depth"],
        ["heads", "embed.in (qkv.weight, fc1.weight)", "depth (qkv, fc1)", "mlp"],
    ],
    "ligo": [["embed, embed.gain, embed.shift, embed.in, heads (v), heads.in", "heads (q, k)", "mlp, mlp.in", "depth"]],
    "ligo-code": [
        ["depth (norm1.weight)\n1 of 16 draws"],
        [
            "embed, embed.gain, embed.shift, embed.in",
            "heads (layer 1, q)\n1 of 9 draws",
            "heads (layer 1, v), heads.in (layer 1)\n1 of 9 draws",
            "mlp (layer 1), mlp.in (layer 1)\n1 of 3 draws",
        ],
    ],
    "mango": [["S_B", "S_O", "S_L", "S_I"], ["embed, embed.gain, embed.shift, heads", "embed.in", "mlp", "depth"]],
    "identity": [["every axis"]],
}
"""Of each part of the equation, in order: the panels' titles."""


def shown(name: str, part: int = 0) -> dict[str, torch.Tensor]:
    return {panel.title: panel.matrix for panel in parts(name)[1][part].panels}


@pytest.mark.parametrize("name", TITLES)
def test_a_picture_shows_each_matrix_once_with_all_its_names(name: str) -> None:
    assert [[panel.title for panel in part.panels] for part in parts(name)[1]] == TITLES[name]


@pytest.mark.parametrize("name", OPERATORS)
def test_every_operator_has_a_picture_in_the_page_that_explains_it(name: str) -> None:
    """In git, so that the page shows it without a run."""
    assert f"](../results/operators/{name}.svg)" in (ROOT / "docs/operators.md").read_text()
    assert (ROOT / f"results/operators/{name}.svg").read_text().startswith("<?xml")


def test_fpi_writes_copies_and_reads_shares() -> None:
    written, read = list(shown("bert2bert-fpi").values())[:2]
    expected = torch.zeros(12, 8, dtype=torch.float64)
    for row in range(12):
        expected[row, row % 8] = 1
    assert torch.equal(written, expected)
    assert torch.equal(read, expected / torch.tensor([2, 2, 2, 2, 1, 1, 1, 1]))


def test_mangos_cores_are_shown_with_the_new_index_along_the_rows() -> None:
    ring, rest = shown("mango"), shown("mango", 1)
    assert torch.equal(ring["S_O"], rest["embed, embed.gain, embed.shift, heads"])
    assert torch.equal(ring["S_I"], rest["embed.in"])
    assert ring["S_L"].tolist() == [[1, 0], [0, 1], [1, 0]]


def test_akis_second_term_is_the_next_layer_less_the_own() -> None:
    added = shown("bert2bert-aki", 1)
    assert added["depth (qkv, fc1)"].tolist() == [[-1, 1], [0, 0], [-1, 1]]
    assert added["heads"].nonzero().tolist() == [[8, 0], [9, 1], [10, 2], [11, 3]]


def test_lemons_split_is_seen_and_sums_to_zero_over_the_copies() -> None:
    split = shown("lemon", 1)["proj (layer 1)\n1 of 3 draws"]
    assert torch.allclose(split[:, :4], -split[:, 8:], atol=1e-12)
    assert not split[:, 4:8].any()
    assert 0.1 < split[:, :4].std() < 0.3


def test_mimetics_products_are_near_multiples_of_the_identity() -> None:
    queries_and_keys, values_and_proj = shown("mimetic").values()
    assert float(values_and_proj.diag().mean()) == pytest.approx(-0.4, abs=0.15)
    assert float(queries_and_keys.diag().mean()) > 0.1
    assert torch.linalg.matrix_rank(queries_and_keys) == 4


def test_nearly_equal_is_not_equal() -> None:
    eye = torch.eye(2, dtype=torch.float64)
    assert [panel.title for panel in panels({"embed": eye, "mlp": eye + 1e-9, "heads": eye})] == ["embed, heads", "mlp"]


def drawn(figure: Figure, kind: type[PatchCollection] | type[PathCollection]) -> list[list[float]]:
    """The values of the cells, or the places of the minus signs, of every panel."""
    found = [c for axes in figure.axes for c in axes.collections if type(c) is kind]
    if kind is PatchCollection:
        return [collection.get_array().tolist() for collection in found]
    return [(collection.get_offsets() - 0.5).tolist() for collection in found]


def test_only_what_is_not_zero_is_drawn_and_what_is_negative_has_a_minus() -> None:
    figure = picture("bert2bert-aki")
    every: list[Panel] = [panel for part in parts("bert2bert-aki")[1] for panel in part.panels]
    assert drawn(figure, PatchCollection) == [panel.matrix[panel.matrix != 0].tolist() for panel in every]
    signs = [(panel.matrix < 0).nonzero().flip(1).tolist() for panel in every]
    assert drawn(figure, PathCollection) == signs
    assert [[0, 0], [0, 2]] in signs


@pytest.mark.parametrize("name", ["bert2bert-aki", "ligo-code"])
def test_the_committed_picture_is_what_is_drawn_now(name: str, tmp_path: Path) -> None:
    """By another process, at another time, to the same bytes."""
    assert draw(name, tmp_path).read_bytes() == (ROOT / f"results/operators/{name}.svg").read_bytes()


def test_the_command_draws_every_operator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["stackbert", "tleg"]
    monkeypatch.setattr("regrow.growth.registry.OPERATORS", {name: OPERATORS[name] for name in names})
    assert main(["pictures", "--out", str(tmp_path)]) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["stackbert.svg", "tleg.svg"]
