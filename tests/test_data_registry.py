"""The registry, its documentation, and the smallest set. Nothing here downloads."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from regrow.data import SETS, ImageSet
from regrow.data.packing import write_packed
from regrow.data.progress import track
from regrow.data.resize import to_size


def test_the_registry_is_whole() -> None:
    from_packages = ["digits", "fashion-mnist", "mnist", "icons", "emoji", "flags", "logos", "elpv"]
    own = ["imagenet-1k", "tiny-imagenet", "mini-imagenet", "cifar-10", "cifar-100", "flowers-102", "stanford-cars"]
    own += ["pets", "cub-200", "food-101", "inat-2018", "inat-2019", "chestx-ray8"]
    assert list(SETS) == from_packages + own
    for name, image_set in SETS.items():
        assert image_set.name == name
        assert all([image_set.licence, image_set.citation, image_set.what])


def test_importing_loads_no_heavy_package() -> None:
    code = "import regrow.data, sys; print({'torch', 'torchvision', 'sklearn', 'PIL'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"


def test_digits_have_the_recorded_counts_at_any_size(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    small, large = (SETS["digits"].build(size, tmp_path, track) for size in (8, 16))
    assert np.array_equal(large.images[:, ::2, ::2], small.images)
    assert np.array_equal(large.images[:, 1::2, 1::2], small.images)
    assert (small.images.min(), small.images.max()) == (0, 255)
    write_packed(SETS["digits"], small, seed=0, minival=100, out=tmp_path / "out")
    assert not caplog.records


def test_resizing_is_done_only_where_needed() -> None:
    images = np.random.RandomState(0).randint(0, 256, (3, 6, 6, 1)).astype(np.uint8)
    same, nobody = to_size(images, 6, "bicubic", track)
    assert same is images
    assert nobody == ()
    larger, who = to_size(images, 9, "bicubic", track)
    assert larger.shape == (3, 9, 9, 1)
    assert who[0].startswith("resized bicubic by pillow ")


def test_progress_is_a_line_now_and_then_in_a_log(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = iter(range(0, 1000, 3))
    monkeypatch.setattr("time.monotonic", lambda: float(next(clock)))
    assert list(track(range(6), "render")) == list(range(6))
    said = capsys.readouterr().err.splitlines()
    assert said == [
        "render: 1 of 6, about 30 s left",
        "render: 3 of 6, about 12 s left",
        "render: 5 of 6, about 4 s left",
    ]


def test_the_documented_table_is_the_registry() -> None:
    documented = (Path(__file__).parents[1] / "docs" / "data.md").read_text().split("## The folder")[0]
    rows = [
        [cell.strip() for cell in line.split("|")[1:-1]] for line in documented.splitlines() if line.startswith("| `")
    ]
    assert [(row[0], *row[2:5], *row[6:]) for row in rows] == [
        (
            f"`{s.name}`",
            f"{s.num_classes:,}",
            f"{s.train:,}",
            f"{s.test:,}",
            s.polarity,
            "yes" if s.flip else "no",
            s.metric,
        )
        for s in SETS.values()
    ]


def test_the_documented_example_packs(tmp_path: Path) -> None:
    documented = (Path(__file__).parents[1] / "docs" / "data.md").read_text()
    example = documented.split("```python\n")[1].split("```")[0]
    scope: dict[str, Any] = {}
    exec(example, scope)
    shapes: ImageSet = scope["SHAPES"]
    raw = shapes.build(16, tmp_path, track)
    assert write_packed(shapes, raw, seed=0, minival=0.1, out=tmp_path).counts == {
        "train": 144,
        "minival": 16,
        "test": 40,
    }
