"""The report on synthetic records of a small study: every file, its bytes, its errors."""

from __future__ import annotations

import html
import json
import math
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from regrow.errors import UserError
from regrow.report import update_readme, write_report
from regrow.report.claims import ARITHMETIC, CLAIMS, load_ledger
from regrow.report.figures import accuracy_vs_flops, compute_saved
from regrow.report.frames import read
from regrow.report.growth import growth_table
from regrow.report.operators import operators_table
from regrow.report.published import published_texts
from regrow.report.saving import savings
from regrow.report.seconds import seconds_table
from regrow.report.style import styled
from regrow.report.table import csv_text
from regrow.report.tidy import tidy_runs
from regrow.report.transfer import transfer_table
from synthetic_growth import CURVES, PARAMS, write_records

FORMS = ("csv", "md")
FIGURES = ("accuracy_vs_flops", "compute_saved", "conventions", "transfer_accuracy")
TABLES = ("growth", "operators", "transfer", "improvement", "conventions", "plan")
SECONDS = [f"tables/{name}.{form}" for name in ("seconds", "seconds_conventions", "seconds_plan") for form in FORMS]
"""What belongs to the machine."""
FILES = [
    "REPORT.md",
    "claims.csv",
    "claims.html",
    "claims.md",
    "metrics.json",
    *(f"figures/{name}.{form}" for name in FIGURES for form in ("pdf", "png", "svg")),
    *(f"tables/{name}.{form}" for name in TABLES for form in ("csv", "md", "tex", "html")),
    "tables/runs.csv",
    "tables/curves.csv",
    *SECONDS,
]  # fmt: skip


def text_of(results: Path) -> str:
    """REPORT.md's text."""
    return published_texts(read(PARAMS, results), results, load_ledger(CLAIMS, ARITHMETIC))["REPORT.md"]


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report") / "results" / "tiny"
    write_records(PARAMS, folder)
    write_report(PARAMS, folder)
    return folder


def test_it_writes_every_file_and_no_other(results):
    found = [path.relative_to(results).as_posix() for path in results.rglob("*") if path.is_file()]
    assert sorted(name for name in found if not name.startswith("records/")) == sorted(FILES)


def test_another_machine_changes_the_seconds_and_no_other_byte(results, tmp_path, capsys):
    write_records(PARAMS, tmp_path, device="NVIDIA X")
    write_report(PARAMS, tmp_path)
    changed = [name for name in FILES if (tmp_path / name).read_bytes() != (results / name).read_bytes()]
    assert changed == SECONDS
    assert "NVIDIA X, 1 thread, Linux" in (tmp_path / "tables/seconds.md").read_text()
    assert "  tables/growth.{csv,md,tex,html}\n" in capsys.readouterr().out


def test_no_dates_and_no_versions_in_the_figures(results):
    for path in (results / "figures").iterdir():
        content = path.read_bytes()
        assert not re.search(rb"CreationDate|ModDate|dc:date|Matplotlib|Software", content), path


def test_growth_by_hand(results):
    table = pd.read_csv(results / "tables/growth.csv").set_index("arm")
    assert table["flops_saved_mean"].to_dict() == {"scratch": 0, "stackbert": 50, "mango": 62.5}
    # of scratch's 400 000: fit 20 000 + 40 000 are 15 %, the source's 100 000 are 25 %
    assert table["flops_saved_with_operator_mean"].to_dict() == {"scratch": 0, "stackbert": 50, "mango": 47.5}
    assert table["flops_saved_with_source_mean"].to_dict() == {"scratch": 0, "stackbert": 25, "mango": 22.5}
    assert table["steps_saved_mean"].to_dict() == {"scratch": 0, "stackbert": 50, "mango": 62.5}
    assert table.loc["mango", "speedup"] == pytest.approx(1 / 0.375)
    assert table["minival_at_start_mean"].to_dict() == {"scratch": 10, "stackbert": 10, "mango": 50}
    assert table.loc["mango", "test_accuracy_mean"] == 80.5
    assert table.loc["mango", "test_accuracy_high"] == pytest.approx(80.5 + 12.706205 * 0.5)  # t(0.975, 1) sd / √2
    assert (table["reached"] == 2).all()


def test_seconds_by_hand(results):
    records = read(PARAMS, results)
    saved = savings(records, records.growth).loc[("mango", 0)]
    assert saved["seconds_saved"] == 62.5
    # of scratch's 8 s: three fits' worth of 0.5 s are 18.75 %, the source's 3 s are 37.5 %
    assert saved["seconds_saved_with_operator"] == 43.75
    assert saved["seconds_saved_with_source"] == 6.25
    assert seconds_table(records).shown["Seconds saved"].tolist() == [
        "0.0 ± 0.0",
        "50.0 ± 0.0",
        "62.5 ± 0.0",
    ]


def test_a_miss_is_shown_in_every_account(tmp_path):
    write_records(PARAMS, tmp_path, {"mango_s1": [10, 20, 30, 40, 50]})
    records = read(PARAMS, tmp_path)
    table = growth_table(records)
    row = table.data.set_index("arm").loc["mango"]
    assert row["flops_saved_mean"] == -math.inf
    assert math.isnan(row["flops_saved_low"])
    assert row["reached"] == 1
    assert table.shown.iloc[2][["FLOPs\nsaved", "with\nsource", "Speed-up"]].tolist() == ["miss (1 of 2)"] * 2 + ["–"]
    assert ",-inf,," in csv_text(table.data)
    runs_csv = tidy_runs(records).set_index(["stage", "run"])
    assert runs_csv.loc[("target", "mango_s1"), "crossing_flops"] == math.inf
    assert runs_csv.loc[("target", "mango_s0"), "crossing_flops"] == 150_000
    text = text_of(tmp_path)
    assert "- Mango & co_1 misses the target: 1 of 2 seeds reached it." in text
    with styled():
        labels = [text.get_text() for text in accuracy_vs_flops(records).legends[0].get_texts()]
        notes = [text.get_text() for text in compute_saved(records).axes[0].texts]
    assert "Mango & co_1 (miss: 1 of 2)" in labels
    assert notes == ["2 of 2", "miss: 1 of 2", "reached"]


def test_nothing_learned_is_undefined_and_drawn(tmp_path):
    flat = {arm: [10.0] * 5 for arm in CURVES}
    write_records(PARAMS, tmp_path, flat)
    records = read(PARAMS, tmp_path)
    assert savings(records, records.growth)["flops_saved"].isna().all()
    table = growth_table(records)
    assert table.shown["FLOPs\nsaved"].tolist() == ["undefined"] * 3
    assert "scratch learned nothing: seed 0, 1" in text_of(tmp_path)
    with styled():
        accuracy_vs_flops(records).draw_without_rendering()
        compute_saved(records).draw_without_rendering()


def test_losses_are_named(tmp_path):
    write_records(PARAMS, tmp_path, {"stackbert": [10, 30, 60, 70, 80]})
    text = text_of(tmp_path)
    assert "- More compute than Scratch, with fit and source: StackBERT (−25.0 %)." in text
    assert "- The 95 % interval of the FLOPs saved holds 0: StackBERT." in text
    assert "- On few, lower than the target without pretraining: StackBERT." in text


def test_transfer(results):
    table = transfer_table(read(PARAMS, results))
    assert table.shown["Arm"].tolist() == ["No pretraining", "Scratch", "StackBERT", "Mango & co_1"]
    assert table.shown.iloc[3].tolist() == ["Mango & co_1", "2", "80.5 ± 0.7", "90.5 ± 0.7", "85.5 ± 0.7"]
    assert table.data.set_index(["arm", "data"]).loc[("mango", "cells"), "test_metric"] == "balanced_accuracy"
    assert "balanced over the classes on cells" in table.caption
    assert "10 a class on few" in table.caption


def test_operators_and_a_fit_that_made_it_worse(tmp_path):
    write_records(PARAMS, tmp_path)
    path = tmp_path / "records/grow/mango_s1/summary.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"minival_accuracy": 29.0, "minival_loss": 2.1}))
    records = read(PARAMS, tmp_path)
    table = operators_table(records)
    assert table.data["worse"].tolist() == ["", "loss and accuracy"]
    assert table.data["arm"].unique().tolist() == ["mango"]
    cells = ["0.01", "0.001, 0.01", "30.0 → 29.0", "2.00e+04", "4.00e+04", "worse loss and accuracy"]
    assert table.shown.iloc[1].tolist() == ["Mango & co_1", "1", *cells]
    text = text_of(tmp_path)
    assert "- The fit of Mango & co_1, seed 1, ended with a worse minival loss and accuracy." in text


def test_every_caption_names_the_tier_and_what_it_is_not(results):
    for path in [*results.glob("tables/*.[!c]*"), results / "REPORT.md"]:
        assert "Tier tiny (digits, 8 px; not the papers' ImageNet setting)." in html.unescape(path.read_text()), path


def test_one_seed_and_no_transfer(tmp_path):
    params = PARAMS.model_copy(update={"seeds": (0,), "transfer_data": {}})
    write_records(params, tmp_path)
    write_report(params, tmp_path)
    assert not (tmp_path / "tables/transfer.csv").exists()
    assert "One seed gives no interval" in (tmp_path / "REPORT.md").read_text()
    assert "| 62.5" in re.sub(" +", " ", (tmp_path / "tables/growth.md").read_text())
    assert np.isnan(pd.read_csv(tmp_path / "tables/growth.csv")["flops_saved_low"]).all()


def test_missing_and_stale_records_are_named(tmp_path):
    write_records(PARAMS, tmp_path)
    (tmp_path / "records/target/mango_s1/metrics.jsonl").unlink()
    with pytest.raises(UserError, match=r"1 of 28 runs have no complete records in .*: target/mango_s1; `snakemake`"):
        write_report(PARAMS, tmp_path)
    assert not (tmp_path / "tables").exists()
    write_records(PARAMS, tmp_path)
    other = PARAMS.model_copy(update={"transfer": PARAMS.transfer.model_copy(update={"lr": 1.0})})
    with pytest.raises(UserError, match=r"16 of 28 runs have records of another config.* and 10 more; `snakemake`"):
        write_report(other, tmp_path)


def test_two_halves_of_a_record(tmp_path):
    write_records(PARAMS, tmp_path)
    path = tmp_path / "records/target/mango_s1/metrics.jsonl"
    path.write_text(path.read_text().splitlines()[0] + "\n")
    with pytest.raises(UserError, match=r"mango_s1: metrics.jsonl has 1 lines and provenance.json a clock of 5"):
        write_report(PARAMS, tmp_path)


def test_readme(results):
    readme = results.parent.parent / "README.md"
    shell = "# Title\n<!-- regrow:growth-table -->\nold\n<!-- /regrow:growth-table -->\nmiddle\n"
    shell += "<!-- regrow:figure --><!-- /regrow:figure -->\nend\n"
    readme.write_text(shell)
    with pytest.raises(UserError, match=r"README\.md: its table or figure is not the one of .*`regrow readme`"):
        update_readme(PARAMS, results, readme, check=True)
    assert readme.read_text() == shell
    update_readme(PARAMS, results, readme, check=False)
    text = readme.read_text()
    assert "old" not in text
    assert (results / "tables/growth.md").read_text() in text
    assert "](results/tiny/figures/accuracy_vs_flops.svg)\n<!-- /regrow:figure -->\nend\n" in text
    assert text.startswith("# Title\n<!-- regrow:growth-table -->\n**Growth.")
    update_readme(PARAMS, results, readme, check=True)
    begin, end = "<!-- regrow:growth-table -->", "<!-- /regrow:growth-table -->"
    for markers in ("", end + begin, begin + begin + end, begin + end + end):
        readme.write_text(markers)
        with pytest.raises(UserError, match=r"README\.md: expected <!-- regrow:growth-table --> and then"):
            update_readme(PARAMS, results, readme, check=False)


def test_no_torch():
    code = "import sys, regrow.report; sys.exit('torch' in sys.modules or 'matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
