"""Records of a small study with learngenes that nobody trained, with numbers that can be worked out by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from regrow.config import GrowConfig, LearngeneConfig, Params, TeacherConfig
from regrow.study import Run, runs
from synthetic_growth import PARAMS as GROWTH
from synthetic_growth import RECIPE
from synthetic_growth import write_records as write_growth

ARMS: dict[str, Any] = {
    "scratch": {"label": "Scratch"},
    "scratch-long": {"label": "Scratch, long", "train": {**RECIPE, "duration": "1000 steps"}},
    "tleg": {"label": "TLEG", "operator": {"name": "tleg"}, "source": "tleg"},
    "pre-fin": {"label": "Pre-Fin", "operator": {"name": "identity"}, "source": "each"},
    "truncate": {"label": "Truncate", "operator": {"name": "truncate-stack"}, "source": "ancestor"},
    "mimetic": {"label": "Mimetic", "operator": {"name": "mimetic"}},
}
VIT = {"embed_dim": 8, "depth": 3, "num_heads": 2, "patch_size": 4, "class_token": False}
PARAMS = Params.model_validate(
    GROWTH.model_dump()
    | {
        "learngene": {
            "teacher": {"model": {"name": "test_resnet"}, "recipe": RECIPE},
            "model": VIT,
            "auxiliaries": {"tleg": {"kind": "tleg", "recipe": RECIPE}},
            "sources": {"each": {}, "ancestor": {"depth": 3}},
            "depths": [2, 4],
            "transfer_depths": [4],
            "pretrain": RECIPE,
            "train": RECIPE,
            "arms": ARMS,
        }
    }
)
LEARNGENE = PARAMS.learngene
assert LEARNGENE
PER_LAYER, OUTSIDE, HEAD = 100, 200, (8 + 1) * 10
"""Parameters of a layer; of the embeddings, the norm and the head; of the head alone, on ten classes."""
TRAIN = 1000
"""FLOPs of a layer's whole training; the longer recipe trains 2.5 times as long."""
DISTILLED, TAUGHT, TEACHER, PRETRAINED = 3000, 500, 7000, 1000
"""FLOPs of the auxiliary net's training, of the teacher's forward passes in it and of the teacher's own training;
and of a layer's pretraining."""
CURVES = {"scratch": [10, 40, 70], "tleg": [50, 60, 80], "pre-fin": [80, 90, 95], "truncate": [10, 20, 30]}
"""Minival accuracy at the start, after half of the training and at its end. Scratch ends at 70, not at the growth
study's 80: TLEG is there half of the way through the second half, so it saves 25 %; Pre-Fin is there at once,
truncation never."""
TEST = {"scratch": 60.0, "scratch-long": 75.0, "tleg": 70.0, "pre-fin": 72.0, "truncate": 50.0, "mimetic": 60.0}


def family(run: Run) -> tuple[str, int | None]:
    """The arm and depth of a run of the learngene's study, read off its name; no depth: another run."""
    arm, _, depth = run.arm.rpartition("-d")
    return (arm, int(depth)) if arm and depth.isdigit() else (run.arm, None)


def write_records(folder: Path, curves: dict[str, list[float]] | None = None) -> None:
    """Records of every run: the growth study's as in test_report, and over them the learngene's."""
    write_growth(PARAMS, folder, curves)
    for key, run in runs(PARAMS).items():
        arm, depth = family(run)
        ours = depth is not None or run.stage in ("teacher", "learngene") or run.arm == "ancestor"
        path = folder / "records" / key
        summary = json.loads((path / "summary.json").read_text())
        if isinstance(run.config, LearngeneConfig):
            summary |= {"flops": DISTILLED, "teacher_flops": TAUGHT, "parameters": OUTSIDE + 2 * PER_LAYER}
        elif isinstance(run.config, TeacherConfig):
            summary |= {"flops": TEACHER, "forward_flops_per_image": 1}
        elif ours:
            model = run.config.target if isinstance(run.config, GrowConfig) else run.config.model
            summary |= {"parameters": OUTSIDE + model.depth * PER_LAYER}
            if run.stage == "pretrain":
                summary |= {"flops": PRETRAINED * model.depth, "test_accuracy": 62.0 + model.depth + run.config.seed}
            elif run.stage in ("target", "transfer"):
                longer = 2.5 if arm == "scratch-long" else 1
                summary |= {"flops": int(longer * TRAIN * model.depth), "examples": int(4000 * longer)}
                summary |= {"test_accuracy": TEST[arm] + model.depth + run.config.seed}
                curve = [
                    {"step": 200 * n, "flops": n / 2 * summary["flops"], "minival_loss": 1.0, "minival_accuracy": y}
                    for n, y in enumerate(CURVES.get(arm, CURVES["scratch"]))
                ]
                (path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in curve))
                made = json.loads((path / "provenance.json").read_text())
                (path / "provenance.json").write_text(json.dumps(made | {"clock": [0.0, 1.0, 2.0]}))
        (path / "summary.json").write_text(json.dumps(summary))
