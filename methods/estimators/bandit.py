"""A bandit: units whose side of the cut is settled are sampled no more."""

from functools import partial

import torch
from torch import Tensor

from methods.aggregate import mean
from methods.estimators.estimate import Estimate, Play
from methods.estimators.stopping import settled
from methods.shards import each

PARTS = 10  # of the rounds, for the standard errors


def bandit(
    game: Play,
    players: int,
    seed: int,
    *,
    samples: int = 25,
    keep: float = 0.5,
    confidence: float = 0.95,
    aggregate=mean,
) -> Estimate:
    """Shapley values, with samples where they decide which fraction `keep` of the players has the largest ones.

    Each round draws a coalition, of a uniform size, and flips in it every player whose side of the cut is open. One
    coalition serves them all, so that their differences are sharper than their values (comparable marginal
    contributions, Kolpaczki et al. 2025). Ends when no side is open, or before it would exceed samples · n evaluations.
    Raises ValueError for fewer than 2 samples.
    """
    generator = torch.Generator().manual_seed(seed)
    left, unsettled = samples * players, torch.arange(players)
    tallies = [Tally(players) for _ in range(PARTS)]
    if left < 1 + players:
        raise ValueError(f"samples={samples} are too few for a bandit: give 2 or more")
    while len(unsettled) and (rounds := min(PARTS, left // (1 + len(unsettled)))):
        drawn = (_coalition(players, generator) for _ in range(rounds))
        played = each(game, partial(_round, unsettled=unsettled), drawn)
        for tally, marginals in zip(tallies[:rounds], played, strict=True):
            tally.add(unsettled, marginals)
        left -= rounds * (1 + len(unsettled))
        estimate = _estimate([tally for tally in tallies if tally.rounds])
        if rounds == PARTS:
            sure = settled(estimate, keep=keep, confidence=confidence, aggregate=aggregate)
            unsettled = (~sure).nonzero().flatten()
    return estimate


class Tally:
    """Sums of marginal contributions (N, n), and how many there are of each player (n,)."""

    def __init__(self, players: int):
        self.sums, self.counts, self.rounds = torch.zeros(1, players), torch.zeros(players), 0

    def add(self, players: Tensor, marginals: Tensor) -> None:
        """Marginal contributions (N, k) of some of the players."""
        self.sums = self.sums.expand(len(marginals), -1).index_add(1, players, marginals)
        self.counts[players] += 1
        self.rounds += 1


def _coalition(players: int, generator: torch.Generator) -> Tensor:
    """A random coalition (n,) of a uniform size."""
    size = int(torch.randint(players + 1, (1,), generator=generator))
    return (torch.randperm(players, generator=generator) < size).float()


def _round(game: Play, coalition: Tensor, unsettled: Tensor) -> Tensor:
    """The marginal contributions (N, k) of the unsettled players to a coalition (n,): 1 + k evaluations."""
    flipped = (coalition - torch.eye(len(coalition))[unsettled]).abs()
    worth, *worths = game(torch.cat([coalition[None], flipped]))
    sign = 1 - 2 * coalition[unsettled]  # leaving is worth the opposite of joining
    return ((torch.stack(worths) - worth) * sign[:, None]).T


def _estimate(tallies: list[Tally]) -> Estimate:
    sums = torch.stack([tally.sums for tally in tallies])
    counts = torch.stack([tally.counts for tally in tallies])[:, None]
    total, count = sums.sum(dim=0), counts.sum(dim=0)
    return Estimate(total / count, (total - sums) / (count - counts))
