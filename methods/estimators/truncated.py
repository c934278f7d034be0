"""Truncated Monte Carlo (Ghorbani & Zou 2019): permutations end where little is left to gain."""

from collections.abc import Iterator
from functools import partial

import torch
from torch import Tensor

from methods.estimators.estimate import Estimate, Play, Until, averaged, last, shares
from methods.estimators.permutation import shuffled
from methods.shards import each

STRIDE = 8  # players that enter between two looks at what is left to gain


def truncated(
    game: Play, players: int, seed: int, *, samples: int = 25, tolerance: float = 0.01, until: Until | None = None
) -> Estimate:
    """Shapley values from `samples` orders, each followed until |v(all) − v(so far)| < tolerance · |v(all) − v(none)|.

    Worths are means over the examples there, looked at after every 8 players; who comes later gets zero, so values are
    biased towards it and do not sum to the gain. At most 2 + samples · n evaluations; how many depends on the game.
    """
    return last(_parts(game, players, seed, samples, tolerance), averaged, until)


def _parts(game: Play, players: int, seed: int, samples: int, tolerance: float) -> Iterator[tuple[int, Tensor]]:
    orders = shuffled(players, seed)
    none, every = game(torch.stack([torch.zeros(players), torch.ones(players)]))
    enough = tolerance * float((every - none).mean().abs())
    drawn = (torch.tensor([next(orders) for _ in range(size)]) for size in shares(samples))
    return each(game, partial(_marginals, none=none, every=every, enough=enough), drawn)


def _marginals(game: Play, orders: Tensor, none: Tensor, every: Tensor, enough: float) -> tuple[int, Tensor]:
    """How many orders (m, n), and the sum over them of each player's marginal contribution (N, n).

    All orders advance together.
    """
    size, players = orders.shape
    total = torch.zeros(players, len(none))
    before = none.expand(len(orders), 1, -1)
    for start in range(0, players, STRIDE):
        entering = orders[:, start : start + STRIDE]
        worths = game(_prefixes(orders, start)).unflatten(0, entering.shape)
        marginals = torch.cat([before, worths], dim=1).diff(dim=1)
        total.index_add_(0, entering.flatten(), marginals.flatten(0, 1))
        going = (every - worths[:, -1]).mean(dim=1).abs() >= enough
        orders, before = orders[going], worths[going, -1:]
        if not len(orders):
            break
    return size, total.T


def _prefixes(orders: Tensor, start: int) -> Tensor:
    """The coalitions (m · b, n) as the next players of each order (m, n) enter, one by one."""
    players = orders.shape[1]
    positions = orders.argsort(dim=1)
    lengths = torch.arange(start + 1, min(start + STRIDE, players) + 1)
    return (positions[:, None] < lengths[:, None]).flatten(0, 1).float()
