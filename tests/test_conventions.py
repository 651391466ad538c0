"""Savings under every convention, on synthetic records with a ledger that is worked out here again."""

from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import PathCollection

from regrow.config import GrowConfig, Params
from regrow.models.flops import forward_flops
from regrow.report.conventions import conventions_figure, conventions_table, seconds_conventions_table
from regrow.report.conventions.choices import COSTS, SECONDS, Convention, targets
from regrow.report.conventions.prose import sentences
from regrow.report.conventions.table import convention_savings, distinct
from regrow.report.frames import read
from regrow.report.growth import growth_table
from regrow.report.improvement import improvement_table
from regrow.report.saving import savings
from regrow.report.style import styled
from regrow.study import runs
from synthetic_growth import PARAMS as TINY
from synthetic_growth import write_records

PARAMS = TINY.model_copy(update={"pretrain": TINY.pretrain.model_copy(update={"batch_size": 20}), "transfer_data": {}})
"""400 steps of 10 images for every target, of 20 for the source; two fits of 20 steps of 10."""
LOWER = {"scratch_s1": [10, 40, 60, 70, 78]}
"""Seed 1's scratch ends at 78, so the fixed level is 0.9 * 79 = 71.1 for both seeds."""
MAP = 123_457
"""FLOPs of a fit's step beside the model's, forward and backward as torch counts them."""
FIT_STEPS, STEPS = 20, 400
CROSSED = {
    "final": {"scratch": (400, 400), "stackbert": (200, 190), "mango": (150, 140)},
    "near": {"scratch": (392, 390.25), "stackbert": (196, 186.1), "mango": (146, 136.1)},
    "level": {"scratch": (311, 313.75), "stackbert": (155.5, 155.5), "mango": (105.5, 105.5)},
}
"""Steps at which the curves of test_report reach 80, 78; 79.2, 77.22; 71.1, 71.1: by hand."""


def record(folder, params=PARAMS, curves=None):
    """Records whose FLOPs are 3 forward passes an image, and a map's in a fit."""
    write_records(params, folder, LOWER | (curves or {}))
    for key, run in runs(params).items():
        path = folder / "records" / key
        summary = json.loads((path / "summary.json").read_text())
        metrics = [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]
        config = run.config
        if isinstance(config, GrowConfig):
            if config.fit:
                fit = FIT_STEPS * (10 * 3 * forward_flops(config.target) + MAP)
                summary |= {"steps": FIT_STEPS, "flops": fit, "selection_flops": fit}
        else:
            step = config.recipe.batch_size * 3 * forward_flops(config.model)
            summary |= {"flops": STEPS * step}
            metrics = [line | {"flops": line["step"] * step} for line in metrics]
        (path / "summary.json").write_text(json.dumps(summary))
        (path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in metrics))
    return read(params, folder)


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    return record(tmp_path_factory.mktemp("conventions"))


@pytest.fixture(scope="module")
def table(records):
    return conventions_table(records)


def prices(records):
    """By cost: a step of the target's, one fit, the source; each from what a step passes through."""
    study = runs(records.params)
    f = forward_flops(study["target/mango_s0"].config.model)
    small = forward_flops(study["pretrain/small_s0"].config.model)
    return {
        "flops": (10 * 3 * f, FIT_STEPS * (10 * 3 * f + MAP), STEPS * 20 * 3 * small),
        "flops_2x": (10 * 2 * f, FIT_STEPS * (10 * 2 * f + MAP), STEPS * 20 * 2 * small),
        "steps": (1, FIT_STEPS, STEPS),
        "epochs": (10, FIT_STEPS * 10, STEPS * 20),
    }


@pytest.mark.parametrize("cost", COSTS)
@pytest.mark.parametrize("target", CROSSED)
def test_every_saving_by_hand(records, cost, target):
    found = convention_savings(records, records.growth, COSTS)
    step, fit, source = prices(records)[cost]
    fits = {"stackbert": 0, "mango": fit}
    for arm, one in fits.items():
        for operator, counted in (("free", 0), ("kept", 1), ("all", 2)):
            for charged in (0, 1):
                each = Convention(cost, operator, "charged" if charged else "free", target)
                for seed in (0, 1):
                    spent = CROSSED[target][arm][seed] * step + counted * one + charged * source
                    expected = 100 * (1 - spent / (CROSSED[target]["scratch"][seed] * step))
                    assert found[each][(arm, seed)] == pytest.approx(expected), (each, arm, seed)


def test_the_fixed_level_is_one_number_from_scratch_alone(records, tmp_path):
    assert targets(records, records.growth)["level"].tolist() == pytest.approx([71.1, 71.1])
    other = record(tmp_path, curves={"mango": [90, 91, 92, 93, 94]})
    for name, accuracies in targets(records, records.growth).items():
        pd.testing.assert_series_equal(accuracies, targets(other, other.growth)[name])


def test_the_headline_is_the_growth_tables(records, table):
    headline = table.data[table.data["headline"]].set_index("arm")
    growth = growth_table(records).data.set_index("arm")
    assert headline.index.tolist() == ["stackbert", "mango"]
    for part in ("mean", "sd", "low", "high"):
        assert headline[f"saved_{part}"].tolist() == growth.loc[headline.index, f"flops_saved_{part}"].tolist()
    whole = table.data.set_index(["arm", "cost", "operator", "source", "target"])["saved_mean"]
    assert whole["mango", "flops", "all", "charged", "final"] == pytest.approx(
        growth.loc["mango", "flops_saved_with_source_mean"]
    )


def test_what_cannot_differ_is_not_repeated(table):
    listed = table.data[table.data["target"] == "near"].groupby("arm")[["cost", "operator", "source"]]
    rows = {arm: list(frame.itertuples(index=False, name=None)) for arm, frame in listed}
    charged = [(cost, "free", "charged") for cost in ("flops", "steps", "epochs")]
    assert rows["stackbert"] == [("flops", "free", "free"), *charged]
    fitted = [(cost, operator, "free") for operator in ("kept", "all") for cost in ("flops", "flops_2x", "steps")]
    both = [(cost, operator, "charged") for operator in ("kept", "all") for cost in COSTS]
    assert rows["mango"] == [("flops", "free", "free"), *fitted, *charged, *both]
    assert len(table.data) == 3 * (4 + 18)


def test_what_is_not_repeated_did_not_differ(records):
    saved = convention_savings(records, records.growth, COSTS)
    for arm, same in distinct(records, records.growth, COSTS).items():
        for each, first in same.items():
            assert saved[each][arm].tolist() == pytest.approx(saved[first][arm].tolist()), (arm, each)


def test_epochs_are_steps_where_all_batches_are_equal(tmp_path):
    equal = record(tmp_path, TINY.model_copy(update={"transfer_data": {}}))
    assert set(conventions_table(equal).data["cost"]) == {"flops", "flops_2x", "steps"}


def test_two_forward_passes_of_sub_models(tmp_path):
    """bert2BERT's first stage passes backward through one block of two and the head."""
    raw = PARAMS.model_dump()
    raw["arms"]["stackbert"]["train"] = raw["train"] | {"sub_models": {"share": 0.5, "layers": 1}}
    params = Params.model_validate(raw)
    record(tmp_path, params)
    model = runs(params)["target/stackbert_s0"].config.model
    tokens, width, classes = 5, 16, 10
    block = 2 * (4 * tokens * width**2 + 2 * tokens**2 * width + 2 * tokens * width * 4 * width)
    trained = block + 2 * width * classes
    whole = forward_flops(model)
    depths = np.random.default_rng(0).integers(1, 3, 200)
    cut = np.array([whole - (2 - depth) * block for depth in depths])
    for seed in (0, 1):
        path = tmp_path / f"records/target/stackbert_s{seed}"
        ledger = np.concatenate([[0], np.cumsum([10 * (f + 2 * trained) for f in cut] + [10 * 3 * whole] * 200)])
        lines = [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]
        lines = [line | {"flops": int(ledger[line["step"]])} for line in lines]
        (path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        summary = json.loads((path / "summary.json").read_text()) | {"flops": int(ledger[-1])}
        (path / "summary.json").write_text(json.dumps(summary))
    records = read(params, tmp_path)
    found = convention_savings(records, records.growth, COSTS)[Convention("flops_2x")]
    assert found["stackbert", 0] == pytest.approx(100 * (1 - 10 * sum(cut + trained) / (400 * 10 * 2 * whole)))
    kept = distinct(records, records.growth, COSTS)["stackbert"]
    assert kept[Convention("flops_2x")] == Convention("flops_2x")
    assert kept[Convention("steps")] == Convention("steps")


def test_shown_row_and_sentence(table):
    row = table.shown.set_index("Arm").loc["StackBERT"]
    assert row["Target\nalone"] == "51.2"  # 50 and 52.5
    assert row[["with\nkept fit", "with\nevery fit", "fits and\nsource"]].tolist() == ["–"] * 3
    assert row["Count"] == "12"
    # the source's 8,000 images are 800 steps of 10
    least = np.mean([100 * (1 - (155.5 + 800) / scratch) for scratch in (311, 313.75)])
    assert row[["Least", "Most"]].tolist() == [f"−{abs(least):.1f}", "51.2"]
    flops = table.data[(table.data["arm"] == "stackbert") & (table.data["cost"] == "flops")]
    dearest = f"{flops['saved_mean'].min():.1f}".replace("-", "−")
    assert sentences(table)[0] == (
        f"StackBERT: from {row['Least']} % (epochs with the source, to a fixed level) to 51.2 % (FLOPs) "
        f"by convention alone, over 12 conventions; in FLOPs at 3 × forward from {dearest} % to 51.2 %, over 6."
    )


def test_a_miss_and_a_level_that_scratch_does_not_reach(tmp_path):
    records = record(tmp_path, curves={"mango_s1": [10, 20, 30, 72, 77.5], "scratch_s1": [10, 40, 60, 70, 78]})
    rows = conventions_table(records).data.set_index(["arm", "cost", "operator", "source", "target"])
    final, near = (rows.loc[("mango", "flops", "free", "free", target)] for target in ("final", "near"))
    assert (final["saved_mean"], final["reached"]) == (-math.inf, 1)
    assert (math.isfinite(near["saved_mean"]), near["reached"]) == (True, 2)
    shown = conventions_table(records).shown.set_index("Arm").loc["Mango & co_1"]
    assert (shown["Target\nalone"], shown["Least"]) == ("miss", "miss")
    assert sentences(conventions_table(records))[1].startswith("Mango & co_1: from a miss (FLOPs) to ")
    low = record(tmp_path / "low", curves={"scratch_s1": [10, 20, 30, 40, 50]})
    level = convention_savings(low, low.growth, COSTS)[Convention("flops", target="level")]
    assert level["mango"].isna().tolist() == [False, True]  # 58.5 is above all that seed 1's scratch reached
    assert conventions_table(low).shown["fixed\nlevel"].tolist() == ["undefined"] * 2


def test_a_study_of_scratch_alone_has_no_rows(tmp_path):
    table = conventions_table(record(tmp_path, PARAMS.model_copy(update={"arms": {"scratch": PARAMS.arms["scratch"]}})))
    assert table.data.empty
    assert sentences(table) == []
    assert "*No rows.*" in table.markdown()


def test_seconds_are_kept_apart(records):
    table = seconds_conventions_table(records)
    assert set(table.data["cost"]) == set(SECONDS)
    rows = table.data.set_index(["arm", "operator", "source", "target"])["saved_mean"]
    saved = savings(records, records.growth).loc["mango"]
    assert rows["mango", "free", "free", "final"] == pytest.approx(saved["seconds_saved"].mean())
    assert rows["mango", "all", "charged", "final"] == pytest.approx(saved["seconds_saved_with_source"].mean())
    assert "seconds" not in set(conventions_table(records).data["cost"])


def test_the_figure_has_a_dot_a_convention_and_rings_the_rules(records, table):
    with styled():
        figure = conventions_figure(records)
        figure.draw_without_rendering()
    axes = figure.axes[0]
    dots = [each for each in axes.collections if isinstance(each, PathCollection)]
    rings = [each for each in dots if each.get_sizes()[0] == 60]
    assert len(dots) - len(rings) == len(table.data)
    headline = table.data[table.data["headline"]]["saved_mean"].tolist()
    assert [ring.get_offsets()[0][0] for ring in rings] == pytest.approx(headline)
    row = table.shown.iloc[0]
    assert axes.texts[0].get_text() == f"{row['Least']} to {row['Most']}"


def test_improvement_table(tmp_path):
    records = record(tmp_path, curves={"mango_s1": [10, 20, 30, 40, 50]})
    table = improvement_table(records)
    rows = table.data.set_index(["measure", "arm", "than"])["probability"]
    assert len(rows) == 2 * 3 * 2
    assert rows["test_accuracy", "mango", "stackbert"] == 1  # 80, 81 above 50, 51
    assert rows["flops_saved", "mango", "stackbert"] == 0.5  # 62.5 above both, the miss below both
    assert rows["flops_saved", "stackbert", "scratch"] == 1
    assert (rows + rows.rename_axis(["measure", "than", "arm"]).reorder_levels([0, 2, 1]) == 1).all()
    assert table.shown.iloc[3].tolist() == ["FLOPs saved", "Scratch", "–", "0.00", "0.50"]
    assert "Of 4 pairs, a tie" in table.caption
    assert "with probability 0.33" in table.caption
