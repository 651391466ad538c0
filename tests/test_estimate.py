"""The two intervals of a mean over seeds, and the probability of improvement, against enumeration by hand."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pandas as pd
import pytest

from regrow.report.estimate import estimate
from regrow.report.improvement import chance, probability


def test_three_seeds_bootstrap_to_their_range():
    found = estimate([4.0, 1.0, 2.5])
    assert (found.boot_low, found.boot_high) == (1.0, 4.0)
    assert found.low < 1.0 < 4.0 < found.high


def test_the_bootstrap_against_every_resample():
    values = [1.0, 2.0, 4.0, 7.0, 11.0]
    means = [np.mean(drawn) for drawn in itertools.product(values, repeat=5)]
    found = estimate(values)
    assert (found.boot_low, found.boot_high) == pytest.approx(np.percentile(means, [2.5, 97.5]), abs=0.21)  # one step


def test_on_many_seeds_the_two_agree():
    values = np.random.default_rng(1).normal(50, 3, 100)
    found = estimate(values)
    assert found.boot_low == pytest.approx(found.low, abs=0.1)
    assert found.boot_high == pytest.approx(found.high, abs=0.1)


def test_the_same_values_give_the_same_digits():
    values = [0.1, 0.7, 0.2, 0.9, 0.4, 0.5]
    assert estimate(values) == estimate(values)


def test_columns_name_both_intervals():
    found = estimate([1.0, 3.0]).columns("x")
    assert list(found) == ["x_mean", "x_sd", "x_low", "x_high", "x_boot_low", "x_boot_high"]
    assert (found["x_boot_low"], found["x_boot_high"]) == (1, 3)


@pytest.mark.parametrize("values", [[5.0], [5.0, -math.inf], [5.0, math.nan]])
def test_one_seed_a_miss_and_what_is_undefined_have_no_bootstrap(values):
    found = estimate(values)
    assert math.isnan(found.boot_low)
    assert math.isnan(found.boot_high)


@pytest.mark.parametrize(
    ("ours", "theirs", "expected"),
    [
        ([4, 5, 6], [1, 2, 3], 1),
        ([1, 2, 3], [4, 5, 6], 0),
        ([1, 5, 9], [4, 6, 8], 4 / 9),  # 0, 1 and 3 pairs
        ([2, 2], [2, 1], 3 / 4),  # two ties, two wins
        ([0, 0, 0], [0, 0, 0], 1 / 2),
        ([-math.inf, 3], [1, 2], 1 / 2),  # a miss loses to both
        ([-math.inf, 3], [-math.inf, 2], 5 / 8),  # two misses tie; 3 wins twice
        ([7], [5, 6], 1),
    ],
)
def test_probability_over_all_pairs(ours, theirs, expected):
    assert probability(pd.Series(ours, dtype=float), pd.Series(theirs, dtype=float)) == pytest.approx(expected)


def test_probability_of_what_is_undefined():
    assert math.isnan(probability(pd.Series([1.0, math.nan]), pd.Series([0.0, 0.0])))


def test_chance_by_listing_who_gets_the_upper_ranks():
    parted = [set(ranks) in ({0, 1, 2}, {3, 4, 5}) for ranks in itertools.combinations(range(6), 3)]
    assert chance(3) == np.mean(parted) == 0.1
