"""The report of a tier that still runs: which part of it is shown, and what it says is missing."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest

from conftest import ROOT
from regrow.cli import main
from regrow.config import Params
from regrow.errors import UserError
from regrow.report import update_readme, write_report
from regrow.report.claims import ARITHMETIC, CLAIMS, load_ledger
from regrow.report.frames import read
from regrow.report.published import published_texts
from regrow.study import runs
from regrow.study.part import finished
from synthetic_learngene import PARAMS, write_records

ALL = frozenset(runs(PARAMS))
SOURCES = ["--claims", str(ROOT / CLAIMS), "--arithmetic", str(ROOT / ARITHMETIC)]
LEAST = {"target/scratch_s0", "pretrain/small_s0", "grow/stackbert_s0", "target/stackbert_s0"}


def part_without(*gone: str) -> Params:
    assert ALL.issuperset(gone)
    found = finished(PARAMS, ALL - {*gone})
    assert found
    return found


def shape(part: Params) -> tuple[list[int], list[str], list[str]]:
    return list(part.seeds), list(part.arms), list(part.transfer_data)


def descendants(part: Params) -> tuple[list[int], list[int], list[str]]:
    assert part.learngene
    return list(part.learngene.depths), list(part.learngene.transfer_depths), list(part.learngene.arms)


def test_nothing_missing_is_the_tier_itself() -> None:
    assert finished(PARAMS, ALL) == PARAMS.model_copy(update={"tier": "tiny, in part"})


@pytest.mark.parametrize(
    ("gone", "seeds", "arms", "sets"),
    [
        # both seeds without its arm are more runs than one seed with it
        ("target/mango_s1", [0, 1], ["scratch", "stackbert"], ["few", "cells"]),
        ("grow/mango_s0", [0, 1], ["scratch", "stackbert"], ["few", "cells"]),
        ("target/scratch_s1", [0], ["scratch", "stackbert", "mango"], ["few", "cells"]),
        ("pretrain/small_s1", [0], ["scratch", "stackbert", "mango"], ["few", "cells"]),
        ("transfer/no-pretraining_few_s1", [0, 1], ["scratch", "stackbert", "mango"], ["cells"]),
        ("transfer/mango_cells_s0", [0, 1], ["scratch", "stackbert", "mango"], ["few"]),
    ],
)
def test_one_run_missing_from_the_growth_study(gone: str, seeds: list[int], arms: list[str], sets: list[str]) -> None:
    assert shape(part_without(gone)) == (seeds, arms, sets)


@pytest.mark.parametrize(
    ("gone", "depths", "transfers", "without"),
    [
        ("target/tleg-d2_s1", [2, 4], [4], {"tleg"}),
        ("learngene/tleg_s0", [2, 4], [4], {"tleg"}),
        ("pretrain/each-d4_s0", [2, 4], [4], {"pre-fin"}),
        ("target/scratch-d2_s1", [4], [4], set()),
        ("transfer/tleg-d4_few_s0", [2, 4], [], set()),
    ],
)
def test_one_run_missing_from_the_learngenes(
    gone: str, depths: list[int], transfers: list[int], without: set[str]
) -> None:
    learngene, part = PARAMS.learngene, part_without(gone)
    assert learngene
    assert descendants(part) == (depths, transfers, [name for name in learngene.arms if name not in without])
    assert shape(part) == shape(PARAMS)


def test_without_the_teacher_or_scratch_at_any_depth_the_learngenes_are_left_out() -> None:
    teacher = next(key for key in ALL if key.startswith("teacher/"))
    assert part_without(teacher).learngene is None
    assert part_without("target/scratch-d2_s0", "target/scratch-d4_s0").learngene is None


def test_without_a_transfer_set_no_depth_is_transferred() -> None:
    part = part_without("transfer/no-pretraining_few_s0", "transfer/no-pretraining_cells_s0")
    assert (shape(part)[2], descendants(part)[1]) == ([], [])


def test_many_arms_at_few_depths_are_more_than_few_at_many() -> None:
    names = ("tleg", "pre-fin", "truncate", "mimetic")
    assert descendants(part_without(*(f"target/{name}-d2_s0" for name in names[:2])))[0] == [2, 4]
    assert descendants(part_without(*(f"target/{name}-d2_s0" for name in names)))[0] == [4]


def test_what_starts_from_a_missing_run_is_not_asked_for_and_what_nobody_needs_is_not_in_it() -> None:
    part = part_without("target/mango_s0", "target/tleg-d2_s0", "target/pre-fin-d4_s1")
    assert part.learngene
    assert not part.learngene.auxiliaries
    assert list(part.learngene.sources) == ["ancestor"]
    assert "learngene/tleg_s0" not in runs(part)


@pytest.mark.parametrize("gone", ["target/scratch_s0", "target/stackbert_s0"])
def test_too_little_is_done(gone: str) -> None:
    assert finished(PARAMS, LEAST)
    assert finished(PARAMS, LEAST - {gone}) is None


def test_random_runs_missing_every_run_of_the_part_is_done_and_every_text_is_made(tmp_path: Path) -> None:
    """No table may need a run, an arm, a set or a depth that is not there."""
    write_records(tmp_path / "all")
    generator, ledger, shapes = random.Random(0), load_ledger(CLAIMS, ARITHMETIC), set()
    for _ in range(8):
        gone = generator.sample(sorted(ALL), generator.choice([1, 2, 4]))
        part = finished(PARAMS, ALL - {*gone})
        if part is None or (found := (*map(tuple, shape(part)), part.learngene and str(descendants(part)))) in shapes:
            continue
        assert set(runs(part)).isdisjoint(gone)
        shapes.add(found)
        folder = tmp_path / "some"
        shutil.copytree(tmp_path / "all", folder)
        for key in gone:
            shutil.rmtree(folder / "records" / key)
        records = read(PARAMS, folder, partial=True)
        assert records.params == part
        assert "## What is missing" in published_texts(records, folder, ledger)["REPORT.md"]
        shutil.rmtree(folder)
    assert len(shapes) > 4


@pytest.fixture
def seed_0(tmp_path: Path) -> Path:
    """Seed 0's growth study with one of its two transfer sets, and of seed 1 the source."""
    write_records(tmp_path)
    kept = [*LEAST, "pretrain/small_s1", *(key for key in ALL if key.endswith("_few_s0") and "-d4_" not in key)]
    for key in ALL - {*kept} - {"grow/mango_s0", "target/mango_s0"}:
        shutil.rmtree(tmp_path / "records" / key)
    return tmp_path


def test_its_report_says_what_is_missing_and_every_caption_that_it_is_in_part(
    seed_0: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_report(PARAMS, seed_0, partial=True)
    text = (seed_0 / "REPORT.md").read_text()
    words = (
        f"In part: 11 of {len(ALL)} runs are done, and 10 of them are in the tables: seeds 0 of 0, 1; 3 of 3 arms; "
        "transfer to few of few, cells; learngenes at depths none of 2, 4; 0 of 6 of their arms; their transfer at "
        "depths none of 4."
    )
    assert text.startswith("# Results: the tiny tier, in part\n")
    assert words in text
    assert words in capsys.readouterr().out
    rows = {line.split("|")[1].strip(): [cell.strip() for cell in line.split("|")[2:-1]] for line in text.split("\n")
            if line.startswith("| `")}  # fmt: skip
    # teacher, learngene, pretrain, grow, target, transfer, in the tables
    assert rows["`mango`"] == ["", "", "", "1 of 2", "1 of 2", "1 of 4", "3"]
    assert "`small`" not in rows
    assert "1 more lack none" in text
    assert rows["`tleg-d4`"] == ["", "", "", "0 of 2", "0 of 2", "0 of 4", "0"]
    captions = [path.read_text() for path in seed_0.glob("tables/*.md") if path.stem != "seconds"]
    assert captions
    assert all("Tier tiny, in part (digits" in caption for caption in captions)
    assert (
        "`snakemake --cores all results/tiny/claims.csv --config params=params/tiny.yaml`"
        in (seed_0 / "claims.md").read_text()
    )


def test_without_being_asked_nothing_is_reported_in_part(seed_0: Path) -> None:
    with pytest.raises(UserError, match="runs have no complete records"):
        read(PARAMS, seed_0)
    with pytest.raises(UserError, match="runs have no complete records"):
        write_report(PARAMS, seed_0)
    with pytest.raises(UserError, match="runs have no complete records"):
        update_readme(PARAMS, seed_0, seed_0 / "README.md", check=False)
    assert not (seed_0 / "REPORT.md").exists()


def test_a_record_of_another_config_is_not_done(seed_0: Path) -> None:
    slower = PARAMS.model_copy(update={"train": PARAMS.train.model_copy(update={"lr": 0.5})})
    with pytest.raises(
        UserError, match=r"records: 8 of .* runs are done; a report needs target/scratch_s0 and another"
    ):
        read(slower, seed_0, partial=True)


def test_a_whole_tier_reported_in_part_has_the_same_bytes(tmp_path: Path) -> None:
    write_records(tmp_path)
    ledger = load_ledger(CLAIMS, ARITHMETIC)
    whole, part = (read(PARAMS, tmp_path, partial=partial) for partial in (False, True))
    assert published_texts(part, tmp_path, ledger) == published_texts(whole, tmp_path, ledger)


def test_a_part_is_verified_as_it_was_made(
    study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = Path(shutil.copytree(study, tmp_path / "copy"))
    monkeypatch.chdir(copy)
    shutil.rmtree(copy / "results/tiny/records/transfer")
    files = ["params.yaml", "--results", "results/tiny", *SOURCES]
    assert [main(["report", *files]), main(["verify", *files])] == [2, 2]
    capsys.readouterr()
    assert [main(["report", *files, "--partial"]), main(["verify", *files, "--partial"])] == [0, 0]
    printed = capsys.readouterr().out
    assert "In part: 9 of 14 runs are done, and 9 of them are in the tables" in printed
    assert "records  9 runs of 14 have the configs of the params file\n" in printed
    cell = ["growth", "mango", "test_accuracy", "--params", "params.yaml", "--results", "results/tiny"]
    assert [main(["explain", *cell]), main(["explain", *cell, "--partial"])] == [2, 0]
    assert "regrow report params.yaml --results results/tiny --partial\n" in capsys.readouterr().out
    (copy / "results/tiny/REPORT.md").write_text("# Results\n")
    assert main(["verify", *files, "--partial"]) == 2
    assert "REPORT.md: line 1 is" in capsys.readouterr().err
