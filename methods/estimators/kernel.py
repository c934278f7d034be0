"""Weighted regression on coalitions (KernelSHAP, Lundberg & Lee 2017) with paired leverage-score sampling."""

from collections.abc import Iterator
from functools import partial
from math import ceil
from typing import NamedTuple

import torch
from torch import Tensor

from methods.criterion import Impossible
from methods.estimators.estimate import LEAST, PARTS, Estimate, Play, Until, last, opposed, shares
from methods.estimators.exact import exact
from methods.shards import each

PER_PLAYER, SPARE = 1.5, 10  # pairs: with fewer the regression is all but singular


class Equations(NamedTuple):
    """The normal equations: matrix (n, n) and right-hand sides (n, N), as sums over coalitions."""

    matrix: Tensor
    sides: Tensor

    def solve(self, gain: Tensor) -> Tensor:
        """The values (N, n) that fit best among those that sum to the gain (N,)."""
        players = len(self.matrix)
        ones = self.matrix.diagonal().mean() * torch.ones_like(self.matrix)  # fixes what the constraint leaves open
        return (torch.linalg.solve(self.matrix + ones, self.sides) + gain / players).T.float()


def kernel(game: Play, players: int, seed: int, *, samples: int = 25, until: Until | None = None) -> Estimate:
    """Shapley values by regression on p = (samples · n − 2) // 2 random coalitions and their complements.

    Sizes are uniform, which is leverage-score sampling, and weights make up for it (Musco & Witter 2025, algorithm 1,
    here with replacement).
    2 + 2 · p evaluations, or all 2^n coalitions if these are fewer. For each example the values sum to v(all) −
    v(none). Nearly unbiased. Raises ValueError when there are too few samples for a regression.
    """
    if 2**players <= max(4, samples * players):
        return exact(game, players)
    pairs, needed = (samples * players - 2) // 2, PER_PLAYER * players + SPARE
    if pairs < needed:
        least = ceil((2 * needed + 2) / players)
        raise Impossible(
            f"samples={samples} are too few for a regression on {players} players: give {least} or more, or choose "
            "estimator=antithetic"
        )
    none, every = game(torch.stack([torch.zeros(players), torch.ones(players)])).double()
    parts = _parts(game, players, seed, pairs, every - none)
    enough = ceil(PARTS * needed / pairs)
    return last(parts, lambda taken: _solved(taken, every - none), until, max(LEAST, enough))


def sample(players: int, pairs: int, generator: torch.Generator) -> Tensor:
    """Coalitions (pairs, n) of a uniform size in 1 … n − 1, uniform among those of their size."""
    size = torch.randint(1, players, (pairs, 1), generator=generator)
    ranks = torch.rand(pairs, players, generator=generator).argsort(dim=1).argsort(dim=1)
    return (ranks < size).float()


def equations(coalitions: Tensor, worths: Tensor, opposite: Tensor, gain: Tensor) -> Equations:
    """Of coalitions (p, n), their worths (p, N) and those of their complements; each pair is two observations."""
    size = coalitions.sum(dim=1, keepdim=True).double()
    players = coalitions.shape[1]
    centred = coalitions - size / players  # orthogonal to the constraint
    weighted = centred / (size * (players - size))
    difference = worths.double() - opposite - (2 * size / players - 1) * gain
    return Equations(2 * weighted.T @ centred, weighted.T @ difference)


def _parts(game: Play, players: int, seed: int, pairs: int, gain: Tensor) -> Iterator[Equations]:
    generator = torch.Generator().manual_seed(seed)
    drawn = (sample(players, size, generator) for size in shares(pairs))
    return each(game, partial(_part, gain=gain), drawn)


def _part(game: Play, coalitions: Tensor, gain: Tensor) -> Equations:
    worths, opposite = opposed(game, coalitions)
    return equations(coalitions, worths, opposite, gain)


def _solved(parts: list[Equations], gain: Tensor) -> Estimate:
    total = Equations(*(torch.stack(tensors).sum(dim=0) for tensors in zip(*parts, strict=True)))
    without = [Equations(total.matrix - part.matrix, total.sides - part.sides) for part in parts]
    return Estimate(total.solve(gain), torch.stack([rest.solve(gain) for rest in without]))
