"""Estimators: the laws of Shapley values, games with known answers, honest counts and honest errors."""

from functools import partial
from math import ceil

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from methods import aggregate
from methods.estimators import bandit, banzhaf, exact, kernel, permutation, stopping, surrogate, truncated
from methods.estimators.estimate import Estimate
from tests import games
from tests.games import Counted, Known

EFFICIENT = {
    "permutation": permutation.permutation,
    "antithetic": permutation.antithetic,
    "kernel": kernel.kernel,
    "surrogate": surrogate.surrogate,
    "adjusted": surrogate.adjusted,
}
UNBIASED = {
    "permutation": permutation.permutation,
    "antithetic": permutation.antithetic,
    "adjusted": surrogate.adjusted,
    "complete": partial(truncated.truncated, tolerance=-1.0),  # never truncates
    "comparable": partial(bandit.bandit, confidence=1.0),  # never settles
}
ALL = {**EFFICIENT, **UNBIASED, "truncated": truncated.truncated, "bandit": bandit.bandit, "banzhaf": banzhaf.banzhaf}
KNOWN = {
    "additive": games.additive(torch.tensor([[1.0, -2.0, 0.5, 0.0], [3.0, 0.0, 0.5, 1.0]])),
    "airport": games.airport(torch.tensor([1.0, 2.0, 4.0, 4.5, 9.0])),
    "glove": games.glove(1, 4),
    "unanimity": games.unanimity(6, [1, 3, 4]),
    "weighted majority": games.apex(6),
}


def exactly(game, players):
    return exact.exact(game, players).values


@pytest.mark.parametrize("known", KNOWN.values(), ids=KNOWN)
def test_exact_values_are_the_known_ones(known: Known):
    values = exactly(known.game, len(known.values))
    assert torch.allclose(values.mean(dim=0), known.values, atol=1e-6)


@pytest.mark.parametrize("known", KNOWN.values(), ids=KNOWN)
@pytest.mark.parametrize("name", sorted({*EFFICIENT, *UNBIASED}))
def test_estimates_come_near_the_known_values(name, known: Known):
    players = len(known.values)
    estimate = ALL[name](known.game, players, 0, samples=2000)
    assert (estimate.values.mean(dim=0) - known.values).abs().max() < 0.15 * known.values.abs().max()


@given(players=st.integers(1, 7), seed=st.integers(0, 10**6), drawn=st.integers(9, 30))
@pytest.mark.parametrize("name", ["exact", *EFFICIENT])
def test_values_sum_to_the_gain(name, players, seed, drawn):
    game = games.table(players, 3, seed)
    estimator = exact.exact if name == "exact" else partial(EFFICIENT[name], samples=drawn)
    none, every = game(torch.stack([torch.zeros(players), torch.ones(players)]))
    assert torch.allclose(estimator(game, players, seed).values.sum(dim=1), every - none, atol=1e-4)


@given(players=st.integers(2, 7), seed=st.integers(0, 10**6), factor=st.floats(-3, 3))
def test_exact_values_obey_shapleys_axioms(players, seed, factor):
    one, two = games.table(players, 2, seed), games.table(players, 2, seed + 1)
    both = exactly(lambda s: one(s) + factor * two(s), players)
    assert torch.allclose(both, exactly(one, players) + factor * exactly(two, players), atol=1e-4)
    swapped = torch.arange(players)
    swapped[:2] = torch.tensor([1, 0])
    symmetric = exactly(lambda s: one(s) + one(s[:, swapped]), players)
    assert torch.allclose(symmetric[:, 0], symmetric[:, 1], atol=1e-4)
    null = exactly(lambda s: one(torch.cat([torch.zeros_like(s[:, :1]), s[:, 1:]], dim=1)), players)
    assert torch.allclose(null[:, 0], torch.zeros(2), atol=1e-5)


@given(seed=st.integers(0, 10**6), factor=st.floats(-3, 3))
@pytest.mark.parametrize("name", ["permutation", "antithetic", "kernel"])
def test_estimates_of_a_seed_are_linear_in_the_game(name, seed, factor):
    one, two = games.table(6, 2, seed), games.table(6, 2, seed + 1)
    estimate = partial(EFFICIENT[name], players=6, seed=seed, samples=9)
    both = estimate(lambda s: one(s) + factor * two(s)).values
    assert torch.allclose(both, estimate(one).values + factor * estimate(two).values, atol=1e-3)


@given(seed=st.integers(0, 10**6))
@pytest.mark.parametrize("name", ["permutation", "antithetic", "complete", "comparable"])
def test_who_adds_nothing_gets_nothing(name, seed):
    game = games.table(5, 2, seed)
    values = ALL[name](lambda s: game(s * torch.tensor([1.0, 1, 0, 1, 1])), 5, seed, samples=6).values
    assert torch.equal(values[:, 2], torch.zeros(2))


@pytest.mark.parametrize("name", EFFICIENT)
def test_additive_games_are_solved_by_few_samples(name):
    worths = torch.randn(3, 12, generator=torch.Generator().manual_seed(0))
    values = EFFICIENT[name](games.additive(worths).game, 12, 0, samples=5).values
    assert torch.allclose(values, worths, atol=0.03)


@pytest.mark.parametrize("name", ["antithetic", "banzhaf"])
def test_pairs_cancel_every_second_order_term_that_they_should(name):
    pairs = torch.randn(10, 10, generator=torch.Generator().manual_seed(1)).triu(1)
    values = ALL[name](lambda s: ((s @ pairs) * s).sum(1, keepdim=True), 10, 0, samples=400).values
    expected = (pairs + pairs.T).sum(dim=1) / 2
    assert torch.allclose(values[0], expected, atol=1e-4 if name == "antithetic" else 0.3)


@pytest.mark.parametrize("name", UNBIASED)
def test_the_mean_over_seeds_is_the_value(name):
    game = games.smooth(7, examples=2)
    true = exactly(game, 7)
    runs = torch.stack([UNBIASED[name](game, 7, seed, samples=12).values for seed in range(200)])
    error = (runs.mean(dim=0) - true) / (runs.std(dim=0) / len(runs) ** 0.5 + 1e-6)
    assert error.abs().max() < 4


@pytest.mark.parametrize("name", [*UNBIASED, "kernel", "surrogate"])
def test_standard_errors_are_those_of_the_scores(name):
    """The squared distance to the truth, in standard errors, is about 1 (t: a little more)."""
    game = games.smooth(12, seed=3)
    true = exactly(game, 12).mean(dim=0)
    estimates = [ALL[name](game, 12, seed, samples=40) for seed in range(30)]
    z = torch.stack([(e.scores() - true) / e.standard_errors() for e in estimates])
    assert 0.5 < z.square().mean() < 2


def test_jackknife_of_a_mean_is_the_standard_error_of_the_mean():
    parts = torch.randn(10, 1, 4, generator=torch.Generator().manual_seed(0))
    without = (parts.sum(0) - parts) / 9
    errors = Estimate(parts.mean(0), without).standard_errors()
    assert torch.allclose(errors, parts.std(0).squeeze() / 10**0.5, atol=1e-6)
    assert torch.equal(exact.exact(games.table(4, 2, 0), 4).standard_errors(aggregate.mean_abs), torch.zeros(4))


COUNTS = {
    "permutation": lambda n, s: s * n + min(s, 20),
    "antithetic": lambda n, s: 2 * ceil(s / 2) * n + min(ceil(s / 2), 20),
    "kernel": lambda n, s: 2 + 2 * ((s * n - 2) // 2),
    "surrogate": lambda n, s: 2 + 2 * ((s * n - 2) // 2),
    "adjusted": lambda n, s: 2 + 2 * ((s * n - 2) // 2),
    "complete": lambda n, s: 2 + s * n,
    "banzhaf": lambda n, s: 2 * (s * n // 2),
}


@given(players=st.integers(10, 14), samples=st.integers(6, 25))
@pytest.mark.parametrize("name", COUNTS)
def test_evaluations_are_as_documented(name, players, samples):
    game = Counted(games.smooth(players))
    ALL[name](game, players, 0, samples=samples)
    assert game.evaluations == COUNTS[name](players, samples)


@given(players=st.integers(2, 12), samples=st.integers(2, 40))
@pytest.mark.parametrize("name", ["truncated", "bandit", "comparable"])
def test_no_more_evaluations_than_allowed(name, players, samples):
    game = Counted(games.smooth(players))
    ALL[name](game, players, 0, samples=samples)
    assert 0 < game.evaluations <= samples * players + 2


@pytest.mark.parametrize("players", range(1, 9))
def test_exact_asks_for_every_coalition_once(players):
    seen = []

    def game(coalitions):
        seen.extend(map(tuple, coalitions.int().tolist()))
        return coalitions.sum(dim=1, keepdim=True)

    exact.exact(game, players)
    assert len(seen) == len(set(seen)) == 2**players
    steps = torch.tensor(seen).diff(dim=0).abs().sum(dim=1)
    assert (steps == 1).all()


@pytest.mark.parametrize("name", ALL)
def test_a_seed_reproduces_the_values_and_another_does_not(name):
    game = games.smooth(12)
    state = torch.get_rng_state()
    first, again, other = (ALL[name](game, 12, seed, samples=10).values for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("name", [*UNBIASED, "kernel", "surrogate"])
def test_more_samples_are_nearer(name):
    game = games.smooth(12, seed=5)
    true = exactly(game, 12)

    def error(samples):
        return torch.stack([ALL[name](game, 12, s, samples=samples).values - true for s in range(6)]).square().mean()

    assert error(80) < error(10) / 2


def test_the_surrogate_needs_fewer_evaluations_than_permutations():
    game = games.smooth(14, seed=2)
    true = exactly(game, 14)
    few = torch.stack([surrogate.surrogate(game, 14, s, samples=8).values - true for s in range(5)])
    many = torch.stack([permutation.permutation(game, 14, s, samples=20).values - true for s in range(5)])
    assert few.square().mean() < many.square().mean()


def test_values_of_a_simple_game_are_exact():
    coalition, decay = torch.tensor([1.0, 0, 1, 0, 0, 1]), 0.7
    inside, outside = surrogate._simple_games(coalition[None], decay)
    values = exactly(lambda s: decay ** (s - coalition).abs().sum(1, keepdim=True), 6)[0]
    assert torch.allclose(values.double(), torch.where(coalition > 0, inside[0], outside[0]), atol=1e-6)


def test_truncation_saves_evaluations_and_says_nothing_of_those_who_come_late():
    weights = 0.5 ** torch.arange(40.0)
    game = Counted(lambda s: 1 - (1 - s * weights).prod(dim=1, keepdim=True))
    estimate = truncated.truncated(game, 40, 0, samples=10, tolerance=0.05)
    assert game.evaluations < 0.9 * 400
    assert (estimate.values[0, :2] > estimate.values[0, 30]).all()


def test_the_bandit_spends_where_the_cut_is_and_stops():
    worths = torch.tensor([[5.0] * 5 + [1.1, 1.0] + [-5.0] * 5])
    noise = games.smooth(12, examples=1)
    game = Counted(lambda s: games.additive(worths).game(s) + 0.3 * noise(s))
    estimate = bandit.bandit(game, 12, 0, samples=500, keep=0.5)
    assert game.evaluations < 500 * 12
    assert set(estimate.scores().topk(5).indices.tolist()) == set(range(5))


def test_an_easy_cut_is_settled_early():
    worths = torch.tensor([[9.0] * 6 + [0.0] * 6])
    noise = games.smooth(12, examples=1)
    game = Counted(lambda s: games.additive(worths).game(s) + 0.3 * noise(s))
    bandit.bandit(game, 12, 0, samples=500)
    assert game.evaluations <= 10 * 13


@pytest.mark.parametrize("name", [*EFFICIENT, "truncated", "banzhaf"])
def test_rules_stop_early_when_they_are_met_and_not_before(name):
    def evaluations(until):
        game = Counted(games.smooth(12, seed=1))
        estimate = ALL[name](game, 12, 0, samples=100, until=until)
        return game.evaluations, estimate

    whole, estimate = evaluations(partial(stopping.error_below, error=0.0))
    loose = 2 * float(estimate.standard_errors().max())
    early, rough = evaluations(partial(stopping.error_below, error=loose))
    assert early < whole == evaluations(None)[0]
    assert rough.standard_errors().max() < loose


def test_a_set_is_stable_when_the_cut_is_wide():
    values, noise = (
        torch.tensor([[3.0, 2.0, 1.0, 0.0]]),
        torch.randn(10, 1, 4, generator=torch.Generator().manual_seed(0)),
    )
    sure, unsure = Estimate(values, values + 0.01 * noise), Estimate(values, values + noise)
    assert stopping.stable(sure, keep=0.5) and not stopping.stable(unsure, keep=0.5)
    assert stopping.stable(unsure, keep=1.0)
    close = Estimate(torch.tensor([[3.0, 2.0, 1.999, 0.0]]), sure.without)
    assert stopping.settled(close, keep=0.5).tolist() == [True, False, False, True]


def test_owen_values_of_a_part_sum_to_the_parts_value():
    game, partition = games.table(6, 2, 0), torch.tensor([0, 0, 1, 2, 2, 2])
    parts = exactly(permutation.Quotient(game, partition), 3)
    values = permutation.owen(game, 6, 0, partition=partition, samples=4000).values
    assert torch.allclose(torch.stack([values[:, partition == i].sum(1) for i in range(3)], 1), parts, atol=0.06)


def test_owen_of_single_players_is_shapley():
    game = games.table(5, 2, 0)
    values = permutation.owen(game, 5, 0, partition=torch.arange(5), samples=4000).values
    assert torch.allclose(values, exactly(game, 5), atol=0.08)


def test_banzhaf_values_are_mean_marginal_contributions():
    game = games.table(6, 2, 3)
    coalitions = exact.neighbours(6)
    marginals = (2 * coalitions - 1)[:, None] * game(coalitions)[..., None]
    expected = marginals.sum(dim=0) / 2**5
    assert torch.allclose(banzhaf.banzhaf(game, 6, 0, samples=20000).values, expected, atol=0.04)


@pytest.mark.parametrize(
    "estimate, words",
    [
        (lambda: exact.exact(None, 17), r"exact values of 17 players need 2\^17 evaluations: choose another estimator"),
        (
            lambda: kernel.kernel(None, 30, 0, samples=3),
            "samples=3 are too few for a regression on 30 players: give 4 or",
        ),
        (lambda: permutation.permutation(None, 30, 0, samples=0), "samples are too few for a single draw: give"),
        (lambda: bandit.bandit(None, 30, 0, samples=1), "samples=1 are too few for a bandit: give 2 or more"),
        (lambda: surrogate.surrogate(None, 4096, 0), "of which a surrogate takes up to 6500: give samples=3 or less"),
    ],
)
def test_mistakes_are_told_before_the_game_starts(estimate, words):
    with pytest.raises(ValueError, match=words):
        estimate()
