"""Every coalition."""

import torch
from torch import Tensor

from methods.criterion import Impossible
from methods.estimators.estimate import Estimate, Play, known
from methods.shards import each

LIMIT = 16
ROWS = 1024  # coalitions in a call


def exact(game: Play, players: int, seed: int = 0) -> Estimate:
    """Shapley values by their definition (Shapley 1953): 2^n evaluations.

    Raises ValueError for more than 16 players.
    """
    if players > LIMIT:
        raise Impossible(
            f"exact values of {players} players need 2^{players} evaluations: choose another estimator "
            f"(antithetic, kernel, …) for more than {LIMIT} players"
        )
    coalitions = neighbours(players)
    values = sum(each(game, _part, coalitions.split(ROWS)))
    assert isinstance(values, Tensor)
    return known(values.float())


def _part(game: Play, coalitions: Tensor) -> Tensor:
    return game(coalitions).double().T @ weights(coalitions)


def neighbours(players: int) -> Tensor:
    """All coalitions (2^n, n) as a Gray code: each differs from the one before it by one player."""
    number = torch.arange(2**players)
    return ((number ^ (number >> 1))[:, None] >> torch.arange(players) & 1).float()


def weights(coalitions: Tensor) -> Tensor:
    """How much the worth of each coalition (k, n) counts for each player's Shapley value: (k, n) in float64."""
    players, size = coalitions.shape[1], coalitions.sum(dim=1, keepdim=True).double()
    subsets = binomial(players, size)
    joined = 1 / (size.clamp(min=1) * subsets)
    left = 1 / ((players - size).clamp(min=1) * subsets)
    return torch.where(coalitions > 0, joined, -left)


def binomial(n: int, k: Tensor) -> Tensor:
    """n over k, in float64."""
    total = torch.tensor(n + 1.0, dtype=torch.float64)
    return (total.lgamma() - (k + 1).lgamma() - (n - k + 1).lgamma()).exp()
