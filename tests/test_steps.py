"""The figures of the paper's steps show what a run found."""

import numpy as np
import pytest

from benchmarks import steps
from tests.synthetic import record
from tests.test_pipeline import record_of
from tests.test_shipped import exported


def game(orders: int = 6, players: int = 5) -> dict:
    """An additive game: unit u adds u, so that its value is u whatever the order."""
    numbers = np.random.default_rng(0)
    entering = np.stack([numbers.permutation(players) for _ in range(orders)])
    worths = np.concatenate([np.zeros((orders, 1)), entering.cumsum(axis=1)], axis=1)
    return {"group": "0", "orders": entering.tolist(), "worths": worths.tolist()}


def figures(one: dict) -> dict:
    return dict(steps.steps(one))


def labels(figure) -> list[str]:
    return figure.axes[0].get_legend_handles_labels()[1]


def test_a_run_has_the_figures_it_has_numbers_for():
    assert list(figures(record())) == ["step_4_ranking", "step_5_pruning"]
    whole = {**exported(), "analysis": {"game": game()}}
    assert [name.split("_")[1] for name in figures(whole)] == ["1", "2", "3", "4", "5", "7", "8"]
    assert not figures({**record(), "rounds": [{**record()["rounds"][0], "scores": {}}]})


def test_the_value_of_a_unit_is_the_mean_of_what_it_adds():
    shown = labels(figures({**record(), "analysis": {"game": game()}})["step_3_value"])
    assert "its Shapley value: 4 ± 0 (s.e., n = 6)" in shown


def test_the_ranking_tells_who_stays():
    one = record(keep=0.25)
    assert labels(figures(one)["step_4_ranking"]) == ["stays: 3", "goes: 9"]


def test_widths_and_qualities_are_those_of_the_record():
    one = record(keep=0.25, accuracy=0.8)
    dense, pruned = labels(figures(one)["step_5_pruning"])
    assert "97." in dense and "80.0% (test)" in pruned and "51.2% before recovery" in pruned


def test_the_run_that_tells_most_is_shown():
    plain, best = record("magnitude"), record("shapley", seed=1)
    assert steps.chosen([plain, best]) is best
    assert steps.chosen([plain, best, found := {**record("random"), "analysis": {"game": game()}}]) is found


@pytest.mark.parametrize("task", ["image_classification", "q_learning"])
def test_a_game_is_played_out_in_the_record(task, tmp_path):
    record = record_of(tmp_path, f"task={task}", "method=magnitude", "analysis=game", "analysis.game.orders=3")
    found = record["analysis"]["game"]
    orders, worths = np.array(found["orders"]), np.array(found["worths"])
    assert worths.shape == (3, orders.shape[1] + 1)
    assert np.allclose(worths[:, 0], worths[0, 0], rtol=1e-3) and np.allclose(worths[:, -1], worths[0, -1], rtol=1e-3)
    assert (np.sort(orders, axis=1) == np.arange(orders.shape[1])).all()


def test_an_unknown_group_is_told(tmp_path):
    with pytest.raises(ValueError, match="analysis.game.group=nobody is no group of this network: choose one of"):
        record_of(tmp_path, "method=magnitude", "analysis=game", "analysis.game.group=nobody")
    assert not (tmp_path / "cache" / "dense").exists()
