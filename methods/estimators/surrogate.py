"""Gaussian-process regression on coalitions, whose Shapley values have a closed form.

Coalitions are evaluated with their complements, for Shapley values are those of the odd part (v(S) − v(N∖S)) / 2 of a
game. The prior over it is an additive game plus interactions that fade with their order: covariance ½ (qᵈ − qⁿ⁻ᵈ) at
Hamming distance d. The posterior mean is then a sum of simple games, one for each coalition, and its values a product
of matrices.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from methods.estimators.estimate import Estimate, Play, Until, averaged, last, opposed, shares
from methods.estimators.exact import exact
from methods.shards import each

REACHES = (0.1, 0.3, 1.0)  # of the covariance, as a fraction of n: q = exp(−1 / (reach · n))
NOISE = 1e-3  # variance of what no additive or smooth game explains, relative to the prior's
SUBSET = 1000  # pairs on which the reach is chosen
MOST = 6500  # pairs: the time of a fit grows with their cube, its memory (2 GiB here) with their square


class Pairs(NamedTuple):
    """Coalitions (p, n) and the odd part (p, N) of the game there."""

    coalitions: Tensor
    odd: Tensor


class Fit(NamedTuple):
    """A Gaussian process: inverse covariance (p, p) and coefficients (p, N) of the pairs, for a decay q."""

    pairs: Pairs
    inverse: Tensor
    coefficients: Tensor
    decay: float


def surrogate(game: Play, players: int, seed: int, *, samples: int = 25, until: Until | None = None) -> Estimate:
    """Shapley values of the posterior mean, given p = (samples · n − 2) // 2 coalitions and their complements.

    2 + 2 · p evaluations, or all 2^n coalitions if these are fewer. For each example the values sum to v(all) −
    v(none). Biased towards the prior, which the standard errors do not show. Raises ValueError for too many pairs.
    """
    return _regress(game, players, seed, samples, until, _posterior)


def adjusted(game: Play, players: int, seed: int, *, samples: int = 25, until: Until | None = None) -> Estimate:
    """The same, adjusted by the Monte Carlo values of what the surrogate misses (Witter, Liu & Musco 2025).

    Each part of the sample estimates the residual of the surrogate that is fitted on all others: unbiased, but for the
    choice of the reach. Evaluations as for `surrogate`.
    """
    return _regress(game, players, seed, samples, until, _adjusted)


def _regress(game: Play, players: int, seed: int, samples: int, until: Until | None, estimate) -> Estimate:
    if 2**players <= max(4, samples * players):
        return exact(game, players)
    count = (samples * players - 2) // 2
    if count > MOST:
        raise ValueError(
            f"samples={samples} of {players} players are {count} pairs, of which a surrogate takes up to {MOST}: "
            f"give samples={2 * MOST // players} or less, or estimator=antithetic"
        )
    none, every = game(torch.stack([torch.zeros(players), torch.ones(players)])).double()
    whole = Pairs(torch.ones(1, players), (every - none)[None] / 2)
    return last(_parts(game, players, seed, count), lambda parts: estimate([whole, *parts]), until)


def _parts(game: Play, players: int, seed: int, pairs: int) -> Iterator[Pairs]:
    generator = torch.Generator().manual_seed(seed)
    return each(game, _part, (spread(players, count, generator) for count in shares(pairs)))


def _part(game: Play, coalitions: Tensor) -> Pairs:
    worths, opposite = opposed(game, coalitions)
    return Pairs(coalitions, (worths.double() - opposite.double()) / 2)


def spread(players: int, count: int, generator: torch.Generator) -> Tensor:
    """Coalitions (count, n) whose sizes are spread evenly over 1 … n − 1 (systematic sampling: each is uniform)."""
    places = (torch.arange(count) + torch.rand(1, generator=generator)) / count
    sizes = 1 + (places * (players - 1)).long().clamp(max=players - 2)
    ranks = torch.rand(count, players, generator=generator).argsort(dim=1).argsort(dim=1)
    return (ranks < sizes[:, None]).float()


def _fit(parts: Sequence[Pairs]) -> Fit:
    """The process with the reach whose leave-one-out errors of the mean worth are least."""
    pairs = Pairs(*(torch.cat(tensors) for tensors in zip(*parts, strict=True)))
    some = Pairs(*(tensor[:SUBSET] for tensor in pairs))
    decays = [float(np.exp(-1 / (reach * pairs.coalitions.shape[1]))) for reach in REACHES]
    best = min(decays, key=lambda decay: _missed(_given(some, decay)))
    return _given(pairs, best)


def _given(pairs: Pairs, decay: float) -> Fit:
    covariance = _covariance(pairs.coalitions, decay)
    inverse = torch.cholesky_inverse(torch.linalg.cholesky(covariance + NOISE * torch.eye(len(covariance))))
    return Fit(pairs, inverse, inverse @ pairs.odd, decay)


def _covariance(coalitions: Tensor, decay: float) -> Tensor:
    """The prior's covariance (p, p) of the game's odd part between coalitions (p, n)."""
    players = coalitions.shape[1]
    signs = 2 * coalitions.double() - 1
    agreement = signs @ signs.T  # n − 2 · Hamming distance
    distance = (players - agreement) / 2
    return agreement / players + (decay**distance - decay ** (players - distance)) / 2


def _missed(fit: Fit) -> float:
    """The mean squared leave-one-out error of the mean worth (Rasmussen & Williams 2006, equation 5.12)."""
    errors = fit.coefficients.mean(dim=1) / fit.inverse.diagonal()
    return float(errors.square().mean())


def _values(fit: Fit, coefficients: Tensor) -> Tensor:
    """The Shapley values (N, n) of the posterior mean with these coefficients (p, N)."""
    inside, outside = _simple_games(fit.pairs.coalitions, fit.decay)
    there = fit.pairs.coalitions.double()
    players = there.shape[1]
    return coefficients.T @ (there * inside + (1 - there) * outside + (4 * there - 2) / players)


def _simple_games(coalitions: Tensor, decay: float) -> tuple[Tensor, Tensor]:
    """Shapley values of the games S ↦ q^(Hamming distance to T), for players in T and others: (p, 1) each.

    The integral over p of the expected marginal contribution when all others are there with probability p (Owen 1972):
    of a polynomial, on which Gauss-Legendre quadrature is exact.
    """
    players, size = coalitions.shape[1], coalitions.double().sum(dim=1, keepdim=True)
    nodes, masses = map(torch.from_numpy, np.polynomial.legendre.leggauss(players // 2 + 1))
    present = (nodes + 1) / 2
    member, other = present + (1 - present) * decay, 1 - present + present * decay
    terms = (1 - decay) * member ** (size - 1) * other ** (players - size - 1) * masses / 2
    return (terms * other).sum(dim=1, keepdim=True), -(terms * member).sum(dim=1, keepdim=True)


def _posterior(parts: Sequence[Pairs]) -> Estimate:
    fit = _fit(parts)
    without = [_efficient(_values(fit, _leave_out(fit, part)[0]), fit) for part in _places(parts)]
    return Estimate(_efficient(_values(fit, fit.coefficients), fit), torch.stack(without))


def _adjusted(parts: Sequence[Pairs]) -> Estimate:
    fit = _fit(parts)
    estimates = []
    for part in _places(parts):
        coefficients, residual = _leave_out(fit, part)
        values = _values(fit, coefficients) + _monte_carlo(fit.pairs.coalitions[part], residual)
        estimates.append((len(residual), len(residual) * _efficient(values, fit)))
    return averaged(estimates)


def _leave_out(fit: Fit, part: slice) -> tuple[Tensor, Tensor]:
    """The coefficients without a part of the pairs, and the errors (b, N) of what they predict there."""
    residual = torch.linalg.solve(fit.inverse[part, part], fit.coefficients[part])
    return fit.coefficients - fit.inverse[:, part] @ residual, residual


def _monte_carlo(coalitions: Tensor, odd: Tensor) -> Tensor:
    """Shapley values (N, n) of a game by its odd part at coalitions of uniform sizes, each of use to every player."""
    players, size = coalitions.shape[1], coalitions.double().sum(dim=1, keepdim=True)
    weights = torch.where(coalitions > 0, 1 / size, -1 / (players - size)) * (players - 1)
    return odd.T @ weights / len(odd)


def _efficient(values: Tensor, fit: Fit) -> Tensor:
    """Values that sum to v(all) − v(none), by equal shares of what is missing."""
    missing = 2 * fit.pairs.odd[0] - values.sum(dim=1)
    return (values + missing[:, None] / values.shape[1]).float()


def _places(parts: Sequence[Pairs]) -> Iterator[slice]:
    """Where the pairs of each part are; the first, the whole and the empty coalition, is never left out."""
    start = 1
    for part in parts[1:]:
        yield slice(start, start := start + len(part.odd))
