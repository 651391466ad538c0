"""`regrow verify` on a real tiny study: what is sound, and the first thing that does not match."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from regrow.cli import main
from regrow.config import load_params
from regrow.data.manifest import read_manifest
from regrow.errors import UserError
from regrow.train.checkpoint import load_tensors, save_tensors
from regrow.verify import Verified, verify
from tiny_study import ARITHMETIC, CLAIMS

RESULTS = "results/tiny"
COMMAND = ["verify", "params.yaml", "--results", RESULTS, "--claims", str(CLAIMS), "--arithmetic", str(ARITHMETIC)]
MANGO = f"{RESULTS}/records/target/mango_s0/summary.json"


def check(root: Path) -> Verified:
    return verify(load_params(root / "params.yaml"), root / RESULTS, root / "results/data", CLAIMS, ARITHMETIC)


@pytest.fixture
def copy(study: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(study, tmp_path / "copy"))


def test_a_sound_study_is_checked_down_to_its_weights_and_data(
    study: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(study)
    assert main(COMMAND) == 0
    printed = capsys.readouterr().out
    assert "14 files have the recorded checksum\n" in printed
    assert "1 of 1 sets" in printed
    assert "not checked" not in printed
    texts = [*(study / RESULTS).glob("tables/*"), *(study / RESULTS).glob("*.*")]
    expected = Verified(
        texts=len(texts), others=(), runs=14, planned=14, strays=0, parents=8, weights=14, sets=1, all_sets=1
    )
    assert check(study) == expected


def test_a_clone_with_records_alone_says_what_was_not_checked(copy: Path) -> None:
    shutil.rmtree(copy / RESULTS / "weights")
    shutil.rmtree(copy / "results/data")
    (copy / RESULTS / "tables/layers.csv").write_text("of the weights")
    (copy / RESULTS / "figures").mkdir()
    shutil.copytree(copy / RESULTS / "records/target/mango_s0", copy / RESULTS / "records/target/mango_s7")
    found = check(copy)
    assert "records  14 runs have the configs of the params file; 1 others are of no run of it\n" in str(found)
    assert "the bytes that the records give; not made again: figures, tables/layers.csv\n" in str(found)
    assert (found.weights, found.sets) == (0, 0)
    assert "weights  0 of 14 files have the recorded checksum; 14 not here and not checked" in str(found)
    assert "data     0 of 1 sets are those that the runs read; 1 not here and not checked" in str(found)


def edit(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def a_table(root: Path) -> None:
    path = root / RESULTS / "tables/growth.md"
    path.write_text(path.read_text().replace("| Mango", "| Tango"))


def no_table(root: Path) -> None:
    (root / RESULTS / "tables/fixed_set.tex").unlink()


def a_longer_table(root: Path) -> None:
    path = root / RESULTS / "tables/runs.csv"
    path.write_text(path.read_text() + "one,more\n")


def a_verdict(root: Path) -> None:
    path = root / RESULTS / "claims.csv"
    path.write_text(path.read_text().replace("not testable at this tier", "reproduced"))


def a_sentence(root: Path) -> None:
    path = root / RESULTS / "REPORT.md"
    path.write_text(path.read_text().replace("The rule was fixed before the runs", "The rule was fixed"))


def no_last_newline(root: Path) -> None:
    path = root / RESULTS / "claims.md"
    path.write_text(path.read_text().rstrip("\n"))


def the_seconds(root: Path) -> None:
    edit(root / RESULTS / "records/pretrain/small_s0/provenance.json", lambda made: made.update(seconds=1e9))


def a_number_in_a_record(root: Path) -> None:
    edit(root / MANGO, lambda summary: summary.update(test_accuracy=99.5))


def a_curve(root: Path) -> None:
    path = root / RESULTS / "records/target/scratch_s0/metrics.jsonl"
    first, *rest = path.read_text().splitlines()
    moved = json.loads(first) | {"minival_accuracy": 77.0}
    path.write_text("\n".join([json.dumps(moved), *rest]) + "\n")


def a_config(root: Path) -> None:
    edit(root / MANGO, lambda summary: summary["config"]["recipe"].update(lr=0.5))


def no_record(root: Path) -> None:
    (root / MANGO).unlink()


def an_older_record(root: Path) -> None:
    edit(root / MANGO, lambda summary: summary.pop("inputs"))


def another_parent(root: Path) -> None:
    edit(root / MANGO, lambda summary: summary["inputs"].update(init="ab"))


def other_data(root: Path) -> None:
    edit(root / MANGO, lambda summary: summary["inputs"].update(data="cd"))


def another_manifest(root: Path) -> None:
    folder = root / "results/data/digits-8px-val200-s0"
    (folder / "manifest.json").write_text(read_manifest(folder).model_copy(update={"licence": "mine"}).text())


def other_pixels(root: Path) -> None:
    flip(root / "results/data/digits-8px-val200-s0/images.npy")


def flipped_weights(root: Path) -> None:
    flip(root / RESULTS / "weights/grow/mango_s0.safetensors")


def other_weights(root: Path) -> None:
    """Whole, and with a checksum of their own."""
    path = root / RESULTS / "weights/pretrain/small_s0.safetensors"
    tensors, _ = load_tensors(path)
    save_tensors(path, tensors | {"head.bias": torch.ones(10)}, run="pretrain/small_s0")


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("tamper", "message"),
    [
        (a_table, r"tables/growth\.md: line 6 is '\| Tango.*', but the records give '\| Mango.*; `regrow report`"),
        (no_table, r"tables/fixed_set\.tex: no such file; `regrow report`"),
        (a_longer_table, r"tables/runs\.csv: has 16 lines, but the records give 15"),
        (a_verdict, r"tiny/claims\.csv: line 2 is '.*reproduced.*', but the records give '.*not testable"),
        (a_sentence, r"tiny/REPORT\.md: line \d+ is .The rule was fixed\. Within"),
        (no_last_newline, r"tiny/claims\.md: line \d+ is '.*', but the records give '.*\\n'"),
        (the_seconds, r"tables/(runs|seconds)\.csv: line \d+ is 'pretrain,small_s0,.*1000000000"),
        (a_number_in_a_record, r"tables/runs\.csv: line \d+ is 'target,mango_s0,.*'"),
        (a_curve, r"tables/(runs|growth|curves)\.csv: line \d+ is"),
        (a_config, r"mango_s0/summary\.json: made with config\.recipe\.lr 0\.5, but the params file says 0\.003;"),
        (no_record, r"target/mango_s0/summary\.json: no such file; `snakemake` makes it"),
        (an_older_record, r"target/mango_s0/summary\.json: has no 'inputs'"),
        (another_parent, r"target/mango_s0/summary\.json: inputs\.init is ab, but .* weights of grow/mango_s0 is"),
        (other_data, r"target/mango_s0/summary\.json: inputs\.data is cd, but the sha256 of the packed set digits-8px"),
        (another_manifest, r"pretrain/small_s0/summary\.json: inputs\.data"),
        (other_pixels, r"images\.npy: sha256 \w+ expected, \w+ found; delete the folder"),
        (flipped_weights, r"weights/grow/mango_s0\.safetensors: corrupt"),
        (other_weights, r"pretrain/small_s0\.safetensors: sha256 \w+, but .*pretrain/small_s0/summary\.json has"),
    ],
)  # fmt: skip
def test_the_first_thing_that_does_not_match_is_named(copy: Path, tamper: Callable[[Path], None], message: str) -> None:
    tamper(copy)
    with pytest.raises(UserError) as raised:
        check(copy)
    assert re.search(message, str(raised.value)), raised.value


def test_runs_of_two_data_sets_are_told_apart_without_the_data(copy: Path) -> None:
    shutil.rmtree(copy / "results/data")
    other_data(copy)
    with pytest.raises(UserError, match=r"inputs\.data is cd, but the sha256 of the packed set"):
        check(copy)


def test_a_mismatch_is_exit_code_2(
    copy: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(copy)
    no_table(copy)
    assert main(COMMAND) == 2
    assert "results/tiny/tables/fixed_set.tex: no such file" in capsys.readouterr().err
