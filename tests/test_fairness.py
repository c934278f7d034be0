"""A table says whether its runs had the same chances."""

from copy import deepcopy

import pytest

from benchmarks.fairness import fairness
from tests.synthetic import golden, record


def other(one: dict, **changes) -> dict:
    """A record that was made otherwise."""
    changed = deepcopy(one)
    for path, value in changes.items():
        *way, last = path.split("__")
        place = changed
        for key in way:
            place = place[key]
        place[last] = value
    return changed


def test_runs_that_compare_are_told_in_one_line():
    [line] = fairness(golden())
    assert line.startswith("Fair: ") and "0.03 points less" in line


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"config__training__dense__recipe": "long"}, "digits · convnet, seed 0, has 2 dense networks"),
        ({"dense__loss": 0.0901}, "has a dense network that was trained twice, to losses of 0.09 and 0.0901"),
        ({"config__training__recovery__recipe": "long"}, "digits · convnet, seed 0, has 2 recoveries"),
        ({"config__training__distillation__weight": 0.5}, "digits · convnet, seed 0, has 2 recoveries"),
        ({"config__accept__drop": 0.01}, "digits · convnet, seed 0, has 2 recoveries"),
        ({"acceptance": {"extra_recoveries": 2}}, "digits · convnet, seed 0, keep 0.5, has 2 lengths of recovery"),
        ({"config__dataset__split_seed": 1}, "digits · convnet has 2 data splits"),
        ({"budget__achieved": 0.51}, "keeps 0.51, more than 0.5"),
    ],
)
def test_each_breach_is_named(changes, told):
    lines = fairness([record(), other(record("magnitude"), **changes)])
    assert all(line.startswith("**Not fair**: ") for line in lines)
    assert any(told in line for line in lines)


def test_seeds_and_models_may_differ():
    assert len(fairness([record(seed=0), record(seed=1, training="digits"), record(model="mlp", training="long")])) == 1


def test_rounding_is_no_breach():
    """The test loss of one network comes out otherwise, by parts in a million, on another machine."""
    assert fairness([record(), other(record("magnitude"), dense__loss=0.09000001)])[0].startswith("Fair: ")
