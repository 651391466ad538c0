"""A study in pieces of so many minutes, against pieces made by hand; and a plan of some runs only."""

from __future__ import annotations

from pathlib import Path

import pytest

from conftest import ROOT
from regrow.cli import main
from regrow.config import load_params
from regrow.errors import UserError
from regrow.plan import plan
from regrow.plan.pieces import fill, lines
from regrow.study import runs, with_parents

SMOKE = runs(load_params(ROOT / "params/smoke.yaml"))


def test_a_run_goes_on_in_the_next_piece() -> None:
    minutes = {"pretrain/a_s0": 5.0, "grow/b_s0": 1.0, "target/b_s0": 4.0, "target/c_s0": 20.0, "transfer/c_s0": 1.0}
    found = fill(minutes, 8)
    assert [(piece.minutes, str(piece)) for piece in found] == [
        (8, "pretrain a_s0, grow b_s0, start of target/b_s0"),
        (8, "rest of target/b_s0, start of target/c_s0"),
        (8, "more of target/c_s0"),
        (7, "rest of target/c_s0, transfer c_s0"),
    ]


def test_no_minute_is_lost_and_only_the_last_piece_is_short() -> None:
    minutes = {key: 0.1 * (number % 7) for number, key in enumerate(SMOKE)}
    found = fill(minutes, 0.7)
    assert sum(piece.minutes for piece in found) == pytest.approx(sum(minutes.values()))
    assert [piece.minutes for piece in found[:-1]] == pytest.approx([0.7] * (len(found) - 1))
    order = list(dict.fromkeys(key for piece in found for _, key in piece.parts))
    assert order == list(SMOKE)


def test_a_run_that_fills_a_piece_is_whole_in_it() -> None:
    assert [str(piece) for piece in fill({"target/a_s0": 8.0, "target/b_s0": 8.0, "target/c_s0": 0.0}, 8)] == [
        "target a_s0",
        "target b_s0",
        "target c_s0",
    ]
    tenths = {f"target/{name}_s0": 0.1 for name in "abcdefghijk"}  # ten of them make 0.9999999999999999
    assert [str(piece) for piece in fill(tenths, 1)] == ["target a_s0 .. j_s0 (10)", "target k_s0"]
    assert fill({}, 8) == []


def test_runs_of_a_stage_and_pieces_that_are_alike_are_folded() -> None:
    minutes = {f"{stage}/{run}_s0": 1.0 for run in "abc" for stage in ("grow", "target")} | {"pretrain/big_s1": 36.0}
    _, *printed = lines(fill(minutes, 8))
    assert [line.split(maxsplit=1)[1] for line in printed] == [
        "8.0  grow a_s0 .. c_s0 (3), target a_s0 .. c_s0 (3), start of pretrain/big_s1",
        ".. 5      8.0  more of pretrain/big_s1",
        "2.0  rest of pretrain/big_s1",
    ]


def test_some_runs_come_with_all_that_they_start_from() -> None:
    assert list(with_parents(SMOKE, ["transfer/mango_digits-few_s1"])) == [
        "pretrain/narrow_s1",
        "grow/mango_s1",
        "target/mango_s1",
        "transfer/mango_digits-few_s1",
    ]
    some = with_parents(SMOKE, ["target/*_s0"])
    assert {key for key in some if key.startswith("target/")} == {
        key for key in SMOKE if key.startswith("target/") and key.endswith("_s0")
    }
    assert all(run.config.init in some for run in some.values() if run.config.init)
    assert list(some) == [key for key in SMOKE if key in some]
    with pytest.raises(UserError, match=r"got 'target/scrach_s0'; did you mean 'target/scratch_s0'\? `regrow config"):
        with_parents(SMOKE, ["target/mango_s0", "target/scrach_s0"])


def test_a_plan_of_some_runs_is_a_part_of_the_whole() -> None:
    params = load_params(ROOT / "params/smoke.yaml")
    whole, part = (plan(params, Path("nowhere"), None, only) for only in ((), ["target/mango_s0"]))
    assert list(part.rows.index) == ["pretrain/narrow_s0", "grow/mango_s0", "target/mango_s0"]
    assert part.rows.equals(whole.rows.loc[part.rows.index])
    assert len(part.data_bytes) == 1


def test_the_command_prints_the_pieces_of_what_is_left(
    study: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    smoke = str(ROOT / "params/smoke.yaml")
    some = ("--only", "target/scratch_s0", "target/mango_s0", "--throughput", "1e-5")
    assert main(["plan", smoke, *some, "--minutes", "0.5"]) == 0
    heading, _, *printed = capsys.readouterr().out.split("\n\n")[-1].splitlines()
    assert heading.startswith(f"Device, pieces of 0.5 minutes: {printed[-1].split()[0]}, ")
    assert heading.endswith(" minutes")
    assert "; the longest run is target/" in heading
    assert "pretrain" in printed[0]
    assert "target/mango_s0" in printed[-1]
    monkeypatch.chdir(study)
    assert main(["plan", "params.yaml", "--minutes", "8"]) == 0
    assert capsys.readouterr().out.endswith("pieces of 8 minutes: 0, 0.0 minutes in all; every run is done\n")
    assert main(["plan", smoke, "--throughput", "1", "--minutes", "0"]) == 2
    assert "--minutes: expected minutes above 0, got 0" in capsys.readouterr().err
    assert main(["plan", smoke, "--minutes", "8"]) == 2
    assert "--devices, --minutes: hours are not known" in capsys.readouterr().err
