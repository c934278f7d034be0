"""Sharded scoring: several processes find what one finds, to the bit, and count what it counts."""

import os
from functools import partial
from threading import Lock

import pytest
import torch

from methods import worth
from methods.aggregate import mean_abs
from methods.elimination import backward_elimination, rounds
from methods.estimators import exact, permutation, stopping
from methods.game import Evidence
from methods.layers import group_shapley
from methods.leave_one_out import leave_one_out, losses
from methods.magnitude import magnitude
from methods.shapley import owen, shapley
from methods.shards import each, team
from tests import games
from tests.games import Counted
from tests.networks import network
from tests.test_estimators import ALL

PLAYERS = 12
PARTITION = torch.arange(PLAYERS) // 3
ESTIMATES = {
    **{name: partial(estimator, seed=1, samples=30) for name, estimator in ALL.items()},
    "stopped": partial(permutation.permutation, seed=1, samples=500, until=partial(stopping.error_below, error=0.2)),
    "owen": partial(permutation.owen, seed=1, samples=30, partition=PARTITION),
    "exact": exact.exact,
    "elimination": rounds,
    "leave_one_out": losses,
}
CRITERIA = {
    "shapley": partial(shapley, aggregate=mean_abs),
    "owen": partial(owen, aggregate=mean_abs),
    "leave_one_out": partial(leave_one_out, aggregate=mean_abs),
    "backward_elimination": backward_elimination,
    "group_shapley": partial(group_shapley, criterion=magnitude),
}


make = partial(Counted, games.smooth(PLAYERS))  # no function of this file: workers would import all of it


@pytest.fixture(scope="module", params=[2, 3])
def shared(request):
    with team(request.param) as found:
        yield found


@pytest.mark.parametrize("name", ESTIMATES)
def test_values_errors_and_counts_are_those_of_one_process(name, shared):
    one, several = make(), shared(make)
    alone, together = (ESTIMATES[name](game, PLAYERS) for game in (one, several))
    assert torch.equal(alone.values, together.values)
    assert torch.equal(alone.standard_errors(mean_abs), together.standard_errors(mean_abs))
    assert several.evaluations == one.evaluations > 0


def test_a_quotient_game_is_shared_as_a_whole(shared):
    one, several = (of(partial(permutation.Quotient, make(), PARTITION)) for of in (lambda made: made(), shared))
    assert torch.equal(permutation.permutation(one, 4, 0).values, permutation.permutation(several, 4, 0).values)
    assert several.evaluations == one.evaluations


@pytest.mark.parametrize("name", CRITERIA)
def test_criteria_score_a_network_alike_with_any_number_of_workers(name):
    model, x, found = network("mlp")
    evidence = Evidence(x, torch.tensor([0, 3, 9, 3]))
    criterion = partial(CRITERIA[name], model, found, evidence, 0, worth=worth.margin)
    alone, together = criterion(), criterion(workers=2)
    assert alone.evaluations == together.evaluations
    for group in found:
        assert torch.equal(alone.by_group[group.name], together.by_group[group.name])
    for group, errors in alone.errors.items():
        assert torch.equal(errors, together.errors[group])


def test_parts_are_answered_elsewhere_in_order_and_on_shares_of_the_threads(monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 4)

    def ask(game, part):
        return os.getpid(), torch.get_num_threads(), part

    with team(2) as shared:
        pids, threads, parts = zip(*each(shared(make), ask, range(40)), strict=True)
    assert os.getpid() not in pids and set(threads) == {2} and parts == (*range(40),)


def test_who_stops_early_leaves_parts_unasked(shared, tmp_path):
    def ask(game, part):
        (tmp_path / str(part)).touch()

    answers = each(shared(make), ask, range(1000))
    next(answers)
    answers.close()
    assert len(list(tmp_path.iterdir())) < 20


def test_an_error_in_a_worker_is_the_runs(shared):
    def ask(game, part):
        raise ValueError(f"part {part} cannot be played")

    with pytest.raises(ValueError, match="part 7 cannot be played"):
        list(each(shared(make), ask, [7]))


def test_mistakes_are_told():
    with pytest.raises(ValueError, match=r"workers=0 cannot score: give 1 \(no further process\) or more"), team(0):
        pass
    lock = Lock()
    with (
        pytest.raises(ValueError, match=r"workers=2: they cannot be sent the network \(.*\): choose workers=1"),
        team(2) as shared,
    ):
        shared(lambda: lock)
