"""Marginal contributions along permutations of the players (Castro et al. 2009), by Captum's sampler."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import Any

import torch
from captum.attr import ShapleyValueSampling
from torch import Tensor

from methods.estimators.estimate import Estimate, Play, Until, averaged, last, shares
from methods.shards import each


def permutation(game: Play, players: int, seed: int, *, samples: int = 25, until: Until | None = None) -> Estimate:
    """Shapley values from `samples` random orders: samples · n + min(samples, 20) evaluations.

    Unbiased, and for each example the values sum to v(all) − v(none) exactly.
    """
    return last(_walk(game, shuffled(players, seed), shares(samples)), averaged, until)


def antithetic(game: Play, players: int, seed: int, *, samples: int = 25, until: Until | None = None) -> Estimate:
    """The same from pairs of an order and its reverse, in which all second-order terms cancel (Mitchell et al. 2022).

    An odd number of samples is rounded up: with p pairs, 2 · p · n + min(p, 20) evaluations.
    """
    orders = chain.from_iterable((order, order[::-1]) for order in shuffled(players, seed))
    sizes = (2 * pairs for pairs in shares((samples + 1) // 2))
    return last(_walk(game, orders, sizes), averaged, until)


def owen(
    game: Play, players: int, seed: int, *, partition: Tensor, samples: int = 25, until: Until | None = None
) -> Estimate:
    """Owen values (Owen 1977): orders in which the players of a part of the partition (n,) enter together.

    The values of a part sum to the Shapley value of that part in the quotient game. Evaluations as for `permutation`.
    """
    return last(_walk(game, shuffled_parts(partition, seed), shares(samples)), averaged, until)


class Quotient:
    """The game whose players are the parts of a partition (n,) of the players: whole groups, or layers."""

    def __init__(self, game: Any, partition: Tensor):
        self.game, self.partition = game, partition

    def __call__(self, coalitions: Tensor) -> Tensor:
        return self.game(coalitions[:, self.partition])

    @property
    def evaluations(self) -> int:
        """The coalitions evaluated so far."""
        return self.game.evaluations


def shuffled(players: int, seed: int) -> Iterator[list[int]]:
    """Random orders without end."""
    generator = torch.Generator().manual_seed(seed)
    while True:
        yield torch.randperm(players, generator=generator).tolist()


def shuffled_parts(partition: Tensor, seed: int) -> Iterator[list[int]]:
    """Random orders of the parts, and of the players of each."""
    generator = torch.Generator().manual_seed(seed)
    while True:
        rank = torch.randperm(int(partition.max()) + 1, generator=generator)[partition]
        players = torch.randperm(len(partition), generator=generator)
        yield players[rank[players].argsort(stable=True)].tolist()


def _walk(game: Play, orders: Iterator[list[int]], sizes: Iterable[int]) -> Iterator[tuple[int, Tensor]]:
    """One stretch of the orders after the other, or several at once: they are independent."""
    return each(game, _stretch, (list(islice(orders, size)) for size in sizes))


def _stretch(game: Play, orders: Sequence[list[int]]) -> tuple[int, Tensor]:
    """Captum's sampler on some orders: how many, and the sum (N, n) of their values."""
    size, players = len(orders), len(orders[0])
    sampler = ShapleyValueSampling(game)
    sampler.permutation_generator = lambda players, size: iter(orders)  # its own is not seeded
    values = sampler.attribute(torch.ones(1, players), n_samples=size, perturbations_per_eval=players)
    return size, size * values.reshape(-1, players)
