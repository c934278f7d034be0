"""Criteria count what they ask, the controls are what they are named after, and seeds are enough."""

from copy import deepcopy
from functools import partial

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from methods import aggregate, worth
from methods.estimators.permutation import owen as owen_sampling
from methods.estimators.permutation import permutation
from methods.game import Evidence, Game
from methods.leave_one_out import leave_one_out, losses
from methods.magnitude import magnitude
from methods.random import random
from methods.shapley import owen, shapley
from methods.taylor import taylor
from tests.networks import network
from tests.test_game import TARGETS

EVIDENCE = Evidence(network("convnet")[1], TARGETS)
CRITERIA = [
    partial(shapley, worth=worth.margin, aggregate=aggregate.mean, estimator=partial(permutation, samples=3)),
    partial(owen, worth=worth.margin, aggregate=aggregate.mean, estimator=partial(owen_sampling, samples=3)),
    partial(leave_one_out, worth=worth.margin, aggregate=aggregate.mean),
    partial(taylor, worth=worth.margin, aggregate=aggregate.mean),
    magnitude,
    random,
]


def test_evaluations_are_counted():
    model, _, found = network("convnet")
    scores = CRITERIA[0](model, found, EVIDENCE)
    assert scores.evaluations == sum(3 * group.size + 3 for group in found)
    scores = CRITERIA[1](model, found, EVIDENCE)
    assert scores.evaluations == 3 * sum(group.size for group in found) + 3
    scores = leave_one_out(model, found, EVIDENCE, worth=worth.margin, aggregate=aggregate.mean)
    assert scores.evaluations == sum(group.size + 1 for group in found)


@pytest.mark.parametrize("criterion", CRITERIA)
def test_scores_are_reproducible_and_leave_the_global_generator_alone(criterion):
    model, _, found = network("convnet")
    before = torch.random.get_rng_state()
    first = criterion(model, found, EVIDENCE, 7).by_group
    assert torch.equal(before, torch.random.get_rng_state())
    torch.rand(1)
    second = criterion(model, found, EVIDENCE, 7).by_group
    assert all(torch.equal(first[group.name], second[group.name]) for group in found)
    assert all(first[group.name].shape == (group.size,) and first[group.name].device.type == "cpu" for group in found)


@pytest.mark.parametrize("criterion", [CRITERIA[0], random])
def test_another_seed_gives_other_scores(criterion):
    model, _, found = network("convnet")
    one, other = (criterion(model, found, EVIDENCE, seed).by_group[found[0].name] for seed in (0, 1))
    assert not torch.equal(one, other)


def test_leave_one_out_is_the_loss_of_worth():
    values = losses(lambda coalitions: (coalitions @ torch.tensor([1.0, 2, 4, 8]))[:, None] ** 2, 4).values
    assert torch.allclose(values, torch.tensor([[225.0 - (15 - 2**i) ** 2 for i in range(4)]]))


def test_taylor_is_the_derivative_of_the_game_at_the_full_coalition():
    model, x, found = network("lenet5")
    model, evidence = deepcopy(model).double(), Evidence(x.double(), TARGETS)
    game = Game(model, found[1], worth.margin, evidence)
    full, step = torch.ones(1, game.players, dtype=torch.float64), 1e-6
    numeric = (game(full) - game(full - step * torch.eye(game.players))) / step
    scores = taylor(model, [found[1]], evidence, worth=worth.margin, aggregate=aggregate.mean)
    assert torch.allclose(scores.by_group[found[1].name], numeric.mean(dim=1), atol=1e-4)


def test_owen_scores_are_those_of_one_game_of_all_groups():
    model, _, found = network("convnet")
    scores = CRITERIA[1](model, found, EVIDENCE)
    game = Game(model, found, worth.margin, EVIDENCE)
    none, every = game(torch.stack([torch.zeros(game.players), torch.ones(game.players)])).mean(dim=1)
    total = sum(values.sum() for values in scores.by_group.values())
    assert total == pytest.approx(float(every - none), rel=1e-4)
    assert all(scores.errors[group.name].shape == (group.size,) for group in found)


def test_taylor_needs_a_derivative():
    model, _, found = network("convnet")
    with pytest.raises(ValueError, match="taylor needs a worth with a derivative"):
        taylor(model, found, EVIDENCE, worth=worth.accuracy, aggregate=aggregate.mean)


@pytest.mark.parametrize("norm", [1, 2])
def test_magnitude_is_the_norm_of_all_that_writes_a_unit(norm):
    model, _, found = network("resnet20")
    stream = found[0]  # the first residual stream: the stem and three blocks write it
    writers = [model.get_submodule(name).weight for name in ("0", "3.0.conv2", "3.1.conv2", "3.2.conv2")]
    expected = [torch.cat([w[unit].flatten() for w in writers]).norm(norm).item() for unit in range(stream.size)]
    assert magnitude(model, found, norm=norm).by_group[stream.name].tolist() == pytest.approx(expected, rel=1e-5)


@given(st.integers(0, 999))
def test_aggregates(seed):
    values = torch.randn(30, 5, generator=torch.Generator().manual_seed(seed))
    assert torch.equal(aggregate.mean_abs(values), aggregate.mean_abs(-values))
    assert (aggregate.mean_abs(values) >= aggregate.mean(values).abs() - 1e-6).all()
    spread = torch.tensor(values.numpy().std(axis=0))
    assert torch.allclose(aggregate.mean_plus_std(values, k=3), aggregate.mean(values) + 3 * spread, atol=1e-5)
