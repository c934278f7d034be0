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
