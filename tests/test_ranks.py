"""Ranks, their critical difference, and many comparisons: the numbers of the literature."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from benchmarks.frame import frame
from benchmarks.ranks import ranks
from benchmarks.statistics import average_ranks, critical_difference, holm, paired_p
from tests.synthetic import golden, record


def test_ranks_share_ties_and_one_is_best():
    assert average_ranks([[0.9, 0.8, 0.7], [0.9, 0.9, 0.1]]).tolist() == [1.25, 1.75, 3.0]


@given(arrays(float, st.tuples(st.integers(1, 6), st.integers(2, 5)), elements=st.floats(0, 1)))
def test_ranks_sum_to_what_they_must(qualities):
    methods = qualities.shape[1]
    assert average_ranks(qualities).sum() == pytest.approx(methods * (methods + 1) / 2)


def test_the_critical_difference_is_demsars():
    """Demšar 2006, table 5(a) and section 3.2.4: q = 2.569 for four classifiers; CD = 1.25 on 14 data sets."""
    assert critical_difference(4, 14) == pytest.approx(1.25, abs=0.005)
    assert critical_difference(2, 6) == pytest.approx(1.960 * np.sqrt(2 * 3 / 36), abs=1e-3)


def test_holm_steps_down():
    assert holm([0.01, 0.04, 0.03, 0.005]).tolist() == pytest.approx([0.03, 0.06, 0.06, 0.02])


@given(arrays(float, st.integers(1, 8), elements=st.floats(0, 1)))
def test_adjusted_values_are_larger_and_in_the_same_order(p):
    adjusted = holm(p)
    assert (adjusted >= p - 1e-12).all() and adjusted.max() <= 1
    assert (np.diff(adjusted[np.argsort(p, kind="stable")]) >= -1e-12).all()
    assert adjusted.min() == pytest.approx(min(1, len(p) * p.min()))


def test_paired_p_values():
    assert paired_p([1, 2, 3], [1, 2, 3]) == 1
    assert paired_p([2, 3, 4], [1, 2, 3]) == 0
    assert paired_p([0.5, 0.6, 0.7, 0.8], [0.4, 0.55, 0.65, 0.6]) == pytest.approx(0.0663, abs=5e-4)


def test_a_sentence_for_each_budget():
    [sentence] = ranks(frame(golden()))
    assert sentence.startswith("Average ranks by accuracy, budget in parameters: shapley 1.")
    assert "n = 6 cells" in sentence and f"less than {critical_difference(4, 6):.2f} apart" in sentence


def test_few_methods_or_cells_have_no_ranks():
    assert not list(ranks(frame([record(), record("magnitude")])))
    assert not list(ranks(frame([record(), record("magnitude"), record("random")])))
