"""Shapley values have Shapley's properties, the controls are what they are named after, and seeds are enough."""

from functools import partial
from itertools import permutations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from methods import aggregate, worth
from methods.game import Evidence
from methods.leave_one_out import leave_one_out, losses
from methods.magnitude import magnitude
from methods.random import random
from methods.shapley import shapley, shapley_values
from methods.taylor import taylor
from tests.networks import network
from tests.test_game import TARGETS, game_of

EVIDENCE = Evidence(network("convnet")[1], TARGETS)
CRITERIA = [
    partial(shapley, worth=worth.margin, aggregate=aggregate.mean, permutations=3),
    partial(leave_one_out, worth=worth.margin, aggregate=aggregate.mean),
    partial(taylor, worth=worth.margin, aggregate=aggregate.mean),
    magnitude,
    random,
]
tables = st.lists(st.lists(st.floats(-5, 5), min_size=16, max_size=16), min_size=1, max_size=3)


def table_game(table):
    """A game of four players, any worths: v(S) is looked up, one column an example."""
    table = torch.tensor(table, dtype=torch.float64)
    return lambda coalitions: (
        table[:, (coalitions.double() @ torch.tensor([1.0, 2, 4, 8], dtype=torch.float64)).long()].T
    )


def exact(game, players=4):
    """Shapley's definition: the mean marginal contribution over all orders."""
    total = torch.zeros(len(game(torch.zeros(1, players))[0]), players, dtype=torch.float64)
    orders = list(permutations(range(players)))
    for order in orders:
        coalition = torch.zeros(1, players)
        before = game(coalition)[0]
        for player in order:
            coalition[0, player] = 1
            after = game(coalition)[0]
            total[:, player] += after - before
            before = after
    return total / len(orders)


@given(table=tables, seed=st.integers(0, 99), drawn=st.integers(1, 9))
def test_efficiency_values_sum_to_what_the_grand_coalition_adds(table, seed, drawn):
    game = table_game(table)
    gain = game(torch.ones(1, 4)) - game(torch.zeros(1, 4))
    assert torch.allclose(shapley_values(game, 4, drawn, seed).sum(dim=1).double(), gain[0], atol=1e-4)


@settings(max_examples=5)
@given(table=tables)
def test_sampling_is_unbiased(table):
    game = table_game(table)
    estimates = torch.stack([shapley_values(game, 4, 40, seed) for seed in range(25)]).double()
    error = estimates.mean(dim=0) - exact(game)
    standard_error = estimates.std(dim=0) / 5
    assert (error.abs() <= 5 * standard_error + 1e-4).all()


def test_null_and_symmetric_players():
    def game(coalitions):  # 0 and 1 do the same, 2 does nothing
        return ((coalitions[:, 0] + coalitions[:, 1]) ** 2).double()[:, None]

    values = torch.stack([shapley_values(game, 3, 50, seed)[0] for seed in range(40)]).mean(dim=0)
    assert values[2] == 0
    assert values[:2].tolist() == pytest.approx([2, 2], abs=0.1)


def test_shapley_values_of_a_linear_game_are_its_weights_after_one_permutation():
    weights = torch.tensor([[3.0, -1, 0.5], [0, 2, -2]])
    assert torch.allclose(
        shapley_values(lambda coalitions: coalitions.float() @ weights.T, 3, 1, seed=0), weights, atol=1e-6
    )


def test_evaluations_are_counted():
    game = game_of("convnet")
    shapley_values(game, game.group.size, 3, seed=0)
    counted = game.evaluations
    model, _, found = network("convnet")
    scores = shapley(model, [game.group], EVIDENCE, worth=worth.margin, aggregate=aggregate.mean, permutations=3)
    assert scores.evaluations == counted >= 3 * game.group.size
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
    game = table_game([[float(i * i) for i in range(16)]])
    assert torch.allclose(
        losses(game, 4), torch.tensor([[225.0 - (15 - 2**i) ** 2 for i in range(4)]], dtype=torch.float64)
    )


def test_taylor_is_the_derivative_of_the_game_at_the_full_coalition():
    game = game_of("lenet5")
    game.model.double()
    inputs, targets = game.evidence
    game.evidence = Evidence(inputs.double(), targets)
    n, step = game.group.size, 1e-6
    full = torch.ones(1, n, dtype=torch.float64)
    numeric = (game(full) - game(full - step * torch.eye(n, dtype=torch.float64))) / step
    scores = taylor(game.model, [game.group], game.evidence, worth=worth.margin, aggregate=aggregate.mean)
    assert torch.allclose(scores.by_group[game.group.name], numeric.mean(dim=1), atol=1e-4)


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
