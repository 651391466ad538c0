"""`regrow layers`: from checkpoints to layers.csv and the figure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from regrow.errors import UserError
from regrow.layers.figure import layers_figure
from regrow.layers.measure import Linearity, block_linearity, chance, chance_95
from regrow.models.axes import AXES
from regrow.models.vit import stack
from regrow.records import write_bytes
from regrow.report.style import save, styled
from regrow.report.table import csv_text
from regrow.train.source import read_state

NAME = "layers"
BLOCKS = frozenset(name for name in AXES if name.startswith("blocks."))
_INDEX = re.compile(r"^blocks\.\d+\.")


def write_layers(checkpoints: Sequence[Path], figures: Path, table: Path) -> list[Path]:
    """Measure every checkpoint; write `figures`/layers.{svg,png,pdf} and `table`/layers.csv.

    Raises:
        UserError: a file that is no plain ViT's state dict, one of fewer than three layers, or two of one name.
    """
    names = checkpoint_names(checkpoints)
    measured = {name: measure_checkpoint(path) for name, path in zip(names, checkpoints, strict=True)}
    path = table / f"{NAME}.csv"
    write_bytes(path, csv_text(frame(measured)).encode())
    with styled():
        return [path, *save(layers_figure(measured), figures, NAME)]


def measure_checkpoint(path: Path) -> dict[str, Linearity]:
    """The linearity of every parameter of a checkpoint's blocks that a plain ViT's have; others are passed over."""
    state, _ = read_state(path)
    blocks = {name: tensor.float() for name, tensor in state.items() if _INDEX.sub("blocks.", name) in BLOCKS}
    try:
        measured = block_linearity({name: tensor.numpy() for name, tensor in stack(blocks).items()})
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    if not measured:
        raise UserError(f"{path}: no blocks.0..., so not a ViT; give the model's whole state_dict()")
    return measured


def checkpoint_names(paths: Sequence[Path]) -> list[str]:
    """The file names without suffix; with their folders where two are the same."""
    stems = [path.stem for path in paths]
    names = [
        stem if stems.count(stem) == 1 else f"{path.parent.name}/{stem}"
        for path, stem in zip(paths, stems, strict=True)
    ]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise UserError(f"{twice}: two checkpoints of one name; copy or rename one of the files")
    return names


def frame(measured: dict[str, dict[str, Linearity]]) -> pd.DataFrame:
    """One row a checkpoint and kind of weight; empty cells where the layers do not differ."""
    return pd.DataFrame(
        [
            {
                "checkpoint": checkpoint,
                "parameter": parameter,
                "layers": len(found.scores),
                "weights": found.weights,
                "score_r2": found.score_r2,
                "first_share": found.first_share,
                "linear_share": found.linear_share,
                "chance": chance(len(found.scores)),
                "score_r2_chance_95": chance_95(len(found.scores)),
                "scores": " ".join(f"{score:.6g}" for score in found.scores),
            }
            for checkpoint, parameters in measured.items()
            for parameter, found in parameters.items()
        ]
    )
