"""Does a better estimate prune better? What the table and the figure make of records."""

import numpy as np
import pytest

from benchmarks.estimation import estimation, figure, table
from benchmarks.typesetting import markdown
from tests.synthetic import record


def estimated(estimator: str, samples: int, seed: int, keep: float, off: float) -> dict:
    """A record whose scores are the true ones and `off` times them, evaluated so often."""
    one = record(estimator=estimator, samples=samples, seed=seed, keep=keep, accuracy=0.9 - off)
    true = {"0": [1.0, 2.0, 3.0, 4.0], "2": [5.0, 1.0, 2.0]}
    shift = {name: [value * (1 + off) for value in values] for name, values in true.items()}
    one["rounds"][0]["scores"], one["cost"]["evaluations"] = shift, 10 * samples
    return one


def sweep() -> list[dict]:
    found = [
        estimated(name, samples, seed, keep, off=(0.1 if name == "permutation" else 0.05) * (4 / samples) + seed / 1000)
        for name in ("permutation", "surrogate")
        for samples in (4, 8)
        for seed in (0, 1, 2)
        for keep in (0.5, 0.25)
    ]
    return found + [estimated("antithetic", 100, seed, keep, off=0.0) for seed in (0, 1, 2) for keep in (0.5, 0.25)]


def test_errors_are_relative_to_the_longest_estimate_of_the_same_network():
    rows = estimation(sweep()).set_index(["estimator", "samples"])
    assert len(rows) == 4 and (rows["n"] == 3).all()
    row = rows.loc[("permutation", 4)]
    assert row["error"] == pytest.approx(np.mean([0.1, 0.101, 0.102])) and row["spearman"] == pytest.approx(1)
    assert row["quality"] == pytest.approx(100 * np.mean([0.8, 0.799, 0.798])) and row["evaluations"] == 40
    assert row["error_ci95"] == pytest.approx(4.302653 * 0.001 / np.sqrt(3), rel=1e-4)


def test_without_an_estimate_that_is_much_longer_there_is_nothing_to_compare_with():
    assert estimation([one for one in sweep() if one["choices"]["estimator"] != "antithetic"]).empty
    assert estimation([record(method="magnitude")]).empty


def test_values_of_different_games_are_not_compared():
    other = [record(worth="accuracy", seed=seed, keep=keep) for seed in (0, 1, 2) for keep in (0.5, 0.25)]
    assert estimation([*sweep(), *other]).empty


def test_the_table_and_the_figure_show_every_estimator():
    rows = estimation(sweep())
    text = markdown(table(rows))
    assert text.count("| permutation") == 2 and "0.101 ± 0.002" in text and "79.9 ± 0.2" in text
    left, right = figure(rows).axes
    assert [line.get_label() for line in left.containers] == ["permutation", "surrogate"]
    assert left.get_xscale() == left.get_yscale() == "log" and len(right.containers) == 2
