"""Cooperative games whose Shapley values are known: coalitions (k, n) to worths (k, 1), with the values (n,)."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor


class Known(NamedTuple):
    """A game, and its Shapley values."""

    game: Callable[[Tensor], Tensor]
    values: Tensor


class Counted:
    """A game that counts the coalitions it is asked about."""

    def __init__(self, game: Callable[[Tensor], Tensor]):
        self.game, self.evaluations = game, 0

    def __call__(self, coalitions: Tensor) -> Tensor:
        self.evaluations += len(coalitions)
        return self.game(coalitions)


def additive(worths: Tensor) -> Known:
    """Each player brings something (N, n), whoever else is there: a network that is linear in its units."""
    return Known(lambda coalitions: coalitions @ worths.T, worths.mean(dim=0))


def airport(costs: Tensor) -> Known:
    """A coalition pays for its longest runway (Littlechild & Owen 1973); costs (n,) ascend."""
    players = len(costs)
    steps = costs.diff(prepend=torch.zeros(1)) / torch.arange(players, 0, -1)
    return Known(lambda coalitions: (coalitions * costs).amax(dim=1, keepdim=True), steps.cumsum(0))


def glove(left: int, right: int) -> Known:
    """A pair of gloves is worth 1; for one left glove and r right ones (Shapley & Shubik 1969)."""
    assert left == 1
    values = torch.tensor([right / (right + 1)] + [1 / (right * (right + 1))] * right)
    return Known(lambda s: torch.minimum(s[:, :1].sum(1), s[:, 1:].sum(1))[:, None], values)


def unanimity(players: int, carrier: list[int]) -> Known:
    """Worth 1 when all of the carrier are there (Shapley 1953)."""
    values = torch.zeros(players)
    values[carrier] = 1 / len(carrier)
    return Known(lambda coalitions: coalitions[:, carrier].prod(dim=1, keepdim=True), values)


def apex(players: int) -> Known:
    """A weighted majority: the apex with one other, or all others without it (weights n − 2, 1, …, 1; quota n − 1)."""
    weights = torch.tensor([players - 2.0] + [1.0] * (players - 1))
    share = 2 / (players * (players - 1))
    values = torch.tensor([(players - 2) / players] + [share] * (players - 1))
    return Known(lambda s: ((s * weights).sum(1, keepdim=True) >= players - 1).float(), values)


def table(players: int, examples: int, seed: int) -> Callable[[Tensor], Tensor]:
    """Any worths at all, looked up: (2^n, N)."""
    worths = torch.randn(2**players, examples, generator=torch.Generator().manual_seed(seed))
    return lambda coalitions: worths[(coalitions.long() << torch.arange(players)).sum(dim=1)]


def smooth(players: int, seed: int = 0, examples: int = 3) -> Callable[[Tensor], Tensor]:
    """What a network's game looks like: a saturating function of sums over the units."""
    generator = torch.Generator().manual_seed(seed)
    weights = torch.randn(players, 8, generator=generator) / players**0.5
    heads = torch.randn(8, examples, generator=generator)
    return lambda coalitions: torch.relu(coalitions @ weights + 0.2) @ heads
