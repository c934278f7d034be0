"""What an estimator returns: values, and what they would be without each part of the sample."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor

from methods.aggregate import mean

PARTS = 20  # of a sample; standard errors then have 19 degrees of freedom
LEAST = 5  # parts before a stopping rule is asked

Part = TypeVar("Part")
Play = Callable[[Tensor], Tensor]
Until = Callable[["Estimate"], bool]


@dataclass(frozen=True)
class Estimate:
    """Values (N, n) of the players for each example, and `without` (G, N, n): the same without each of G parts.

    Parts are independent and as equal in size as can be; G is 0 where the values are exact.
    """

    values: Tensor
    without: Tensor

    def scores(self, aggregate: Callable[[Tensor], Tensor] = mean) -> Tensor:
        """One score a player: (n,)."""
        return aggregate(self.values)

    def standard_errors(self, aggregate: Callable[[Tensor], Tensor] = mean) -> Tensor:
        """Of the scores, from the sampling of coalitions: (n,), by the delete-a-group jackknife (Efron 1982).

        Zero for exact values, nan for a sample that has a single part, and rough for less than ten parts.
        """
        parts = len(self.without)
        if not parts:
            return torch.zeros(self.values.shape[1])
        scores = torch.stack([aggregate(values) for values in self.without])
        return ((parts - 1) * scores.var(dim=0, correction=0)).sqrt()


def known(values: Tensor) -> Estimate:
    """Exact values."""
    return Estimate(values, values.new_zeros(0, *values.shape))


def averaged(parts: Sequence[tuple[int, Tensor]]) -> Estimate:
    """The average over all draws; each part is how many it has, and the sum (N, n) over them."""
    draws = torch.tensor([float(size) for size, _ in parts])[:, None, None]
    sums = torch.stack([values for _, values in parts])
    return Estimate(sums.sum(dim=0) / draws.sum(), (sums.sum(dim=0) - sums) / (draws.sum() - draws))


def shares(draws: int) -> Iterator[int]:
    """The sizes of the parts of a sample. Raises ValueError for a sample of nothing."""
    if draws < 1:
        raise ValueError("samples are too few for a single draw: give estimator.samples=2 or more")
    parts = min(PARTS, draws)
    return (draws * (i + 1) // parts - draws * i // parts for i in range(parts))


def opposed(game: Play, coalitions: Tensor) -> tuple[Tensor, Tensor]:
    """The worths (k, N) of coalitions (k, n), and those of their complements, in one call of the game."""
    worths, opposite = game(torch.cat([coalitions, 1 - coalitions])).split(len(coalitions))
    return worths, opposite


def last(parts: Iterable[Part], estimate: Callable[[list[Part]], Estimate], until: Until | None, least: int = LEAST):
    """The estimate from all parts of a sample, or from as many as the stopping rule asks for, `least` or more."""
    taken: list[Part] = []
    for part in parts:
        taken.append(part)
        if until is not None and len(taken) >= least and until(estimate(taken)):
            break
    return estimate(taken)
