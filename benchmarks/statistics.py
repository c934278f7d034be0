"""Intervals: pure functions on arrays. All are two-sided at 95 %."""

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

LEVEL = 0.95


def mean_interval(values: ArrayLike) -> tuple[float, float]:
    """Mean of independent values and the half width of its Student t interval, in their unit.

    values: (n,), n >= 1; one value has no spread, so its half width is nan. Student 1908, Biometrika 6.
    Raises ValueError for no values.
    """
    sample = np.asarray(values, dtype=float)
    if sample.size == 0:
        raise ValueError("no values: a mean needs at least one")
    if sample.size == 1:
        return float(sample[0]), float("nan")
    return float(sample.mean()), float(stats.t.ppf((1 + LEVEL) / 2, sample.size - 1) * stats.sem(sample))


def paired_difference(a: ArrayLike, b: ArrayLike) -> tuple[float, float]:
    """Mean of a − b over matched pairs and the half width of its Student t interval (the paired t test).

    a, b: (n,), where a[i] and b[i] share a seed. Raises ValueError when their shapes differ.
    """
    first, second = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    if first.shape != second.shape:
        raise ValueError(f"{first.size} and {second.size} values are not pairs: give one of each a seed")
    return mean_interval(first - second)


def ratio_interval(
    dense_samples: ArrayLike, pruned_samples: ArrayLike, seed: int, resamples: int = 999
) -> tuple[float, float, float]:
    """Speed-up, the ratio of two median latencies, and its percentile bootstrap interval: (ratio, low, high).

    Both (n,), in seconds; the i-th ones were measured in the same turn, so turns are resampled as pairs and a
    drift of the machine cancels. One turn has no interval: nan. Efron & Tibshirani 1993, chapter 13.
    """
    dense, pruned = np.asarray(dense_samples, dtype=float), np.asarray(pruned_samples, dtype=float)
    ratio = float(_ratio_of_medians(dense, pruned))
    if dense.size < 2:
        return ratio, float("nan"), float("nan")
    found = stats.bootstrap(
        (dense, pruned),
        _ratio_of_medians,
        paired=True,
        vectorized=True,
        method="percentile",
        confidence_level=LEVEL,
        n_resamples=resamples,
        rng=np.random.default_rng(seed),
    )
    return ratio, float(found.confidence_interval.low), float(found.confidence_interval.high)


def _ratio_of_medians(dense: np.ndarray, pruned: np.ndarray, axis: int = -1) -> np.ndarray:
    return np.median(dense, axis=axis) / np.median(pruned, axis=axis)


def paired_p(a: ArrayLike, b: ArrayLike) -> float:
    """The two-sided p-value of the paired t test of a = b; pairs that all differ alike leave nothing to chance: 0 or 1.

    a, b: (n,), n >= 2, where a[i] and b[i] share a seed.
    """
    differences = np.asarray(a, dtype=float) - np.asarray(b, dtype=float)
    if np.ptp(differences) < 1e-12:
        return float(abs(differences[0]) < 1e-12)
    return float(stats.ttest_1samp(differences, 0).pvalue)


def holm(p_values: ArrayLike) -> np.ndarray:
    """p-values (m,) adjusted for m comparisons, so that one below 5 % is wrong with at most 5 % (Holm 1979)."""
    p = np.asarray(p_values, dtype=float)
    order = np.argsort(p)
    stepped = np.maximum.accumulate((len(p) - np.arange(len(p))) * p[order])
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(stepped, 1)
    return adjusted


def average_ranks(qualities: ArrayLike) -> np.ndarray:
    """Mean rank (k,) of each of k methods over N cells (N, k): 1 is best, ties share (Demšar 2006, 3.2.2)."""
    return stats.rankdata(-np.asarray(qualities, dtype=float), axis=1).mean(axis=0)


def friedman(qualities: ArrayLike) -> float:
    """The p-value of all k >= 3 methods being alike over N >= 2 cells (N, k) (Friedman 1937)."""
    return float(stats.friedmanchisquare(*np.asarray(qualities, dtype=float).T).pvalue)


def critical_difference(methods: int, cells: int) -> float:
    """By how much mean ranks of two methods must differ (Nemenyi's test): q √(k (k + 1) / 6N) (Demšar 2006, 3.2.2)."""
    q = stats.studentized_range.ppf(LEVEL, methods, np.inf) / np.sqrt(2)
    return float(q * np.sqrt(methods * (methods + 1) / (6 * cells)))
