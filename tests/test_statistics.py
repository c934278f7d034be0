"""Intervals equal their closed forms and scipy's tests, and cover what they promise to cover."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import stats

from benchmarks.statistics import mean_interval, paired_difference, ratio_interval

numbers = st.floats(-1e3, 1e3).map(lambda value: round(value, 3))
samples = arrays.arrays(float, st.integers(2, 12), elements=numbers)
pairs = st.integers(2, 12).flatmap(lambda n: arrays.arrays(float, (2, n), elements=numbers))
latencies = arrays.arrays(float, (2, 9), elements=st.floats(1e-4, 1e-2))


def test_five_numbers_by_hand():
    mean, half_width = mean_interval([1, 2, 3, 4, 5])
    assert mean == 3
    assert half_width == pytest.approx(2.776445 * np.sqrt(2.5 / 5), rel=1e-6)  # t(0.975, 4) as printed


@given(samples)
def test_the_mean_interval_holds_what_the_t_test_does_not_reject(values):
    mean, half_width = mean_interval(values)
    if half_width > 1e-9:
        assert stats.ttest_1samp(values, mean + half_width).pvalue == pytest.approx(0.05, rel=1e-3)


@given(samples, st.floats(-10, 10), st.floats(0.1, 10))
def test_the_mean_interval_moves_and_stretches_with_the_values(values, shift, scale):
    mean, half_width = mean_interval(values)
    expected = (scale * mean + shift, scale * half_width)
    assert mean_interval(scale * values + shift) == pytest.approx(expected, abs=1e-6)


def test_one_value_has_no_interval():
    mean, half_width = mean_interval([0.5])
    assert mean == 0.5
    assert np.isnan(half_width)


def test_no_values_are_refused():
    with pytest.raises(ValueError, match="no values: a mean needs at least one"):
        mean_interval([])


def test_nine_in_ten_and_more_intervals_cover_the_truth():
    generator = np.random.default_rng(0)
    covered = [abs(mean - 3) <= half for mean, half in map(mean_interval, generator.normal(3, 2, (2000, 5)))]
    assert np.mean(covered) == pytest.approx(0.95, abs=0.015)  # three standard errors of 2000 draws


@given(pairs)
def test_the_paired_difference_is_that_of_the_paired_t_test(both):
    a, b = both
    mean, half_width = paired_difference(a, b)
    assert mean == pytest.approx(np.mean(a) - np.mean(b), abs=1e-9)
    if half_width > 1e-9:
        interval = stats.ttest_rel(a, b).confidence_interval(0.95)
        assert (mean - half_width, mean + half_width) == pytest.approx(tuple(interval), rel=1e-6, abs=1e-6)


@given(pairs)
def test_the_paired_difference_changes_its_sign_with_the_order(both):
    a, b = both
    mean, half_width = paired_difference(a, b)
    assert paired_difference(b, a) == pytest.approx((-mean, half_width))


def test_what_all_seeds_share_does_not_widen_a_paired_difference():
    seeds = np.array([0.0, 10.0, -7.0, 3.0])
    assert paired_difference(seeds + 1, seeds) == pytest.approx((1, 0), abs=1e-12)


def test_unmatched_values_are_refused():
    with pytest.raises(ValueError, match="3 and 2 values are not pairs"):
        paired_difference([1, 2, 3], [1, 2])


@given(latencies, st.integers(0, 9))
def test_the_ratio_is_inside_its_interval_and_repeats(both, seed):
    dense, pruned = both
    ratio, low, high = ratio_interval(dense, pruned, seed, resamples=199)
    assert ratio == np.median(dense) / np.median(pruned)
    assert low <= ratio * (1 + 1e-9)
    assert high >= ratio * (1 - 1e-9)
    assert (ratio, low, high) == ratio_interval(dense, pruned, seed, resamples=199)


@given(latencies)
def test_a_network_is_as_fast_as_itself(both):
    assert ratio_interval(both[0], both[0], 0, resamples=99) == (1, 1, 1)


def test_a_drift_of_the_machine_cancels():
    drift = np.linspace(1, 3, 15)
    assert ratio_interval(2e-3 * drift, 1e-3 * drift, 0) == pytest.approx((2, 2, 2))


def test_one_turn_has_no_interval():
    ratio, low, high = ratio_interval([2e-3], [1e-3], 0)
    assert ratio == 2
    assert np.isnan([low, high]).all()


def test_most_bootstrap_intervals_cover_the_true_ratio():
    generator = np.random.default_rng(0)
    drawn = generator.lognormal(0, 0.1, (300, 2, 30)) * [[2], [1]]
    found = [ratio_interval(*turns, seed, resamples=199) for seed, turns in enumerate(drawn)]
    assert np.mean([low <= 2 <= high for _, low, high in found]) == pytest.approx(0.95, abs=0.04)
