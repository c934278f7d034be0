"""Banzhaf values: another answer to what a player contributes, with every coalition alike."""

from collections.abc import Iterator

import torch
from torch import Tensor

from methods.estimators.estimate import Estimate, Play, Until, averaged, last, opposed, shares
from methods.shards import each


def banzhaf(game: Play, players: int, seed: int, *, samples: int = 25, until: Until | None = None) -> Estimate:
    """Banzhaf values (Banzhaf 1965) from p = max(1, samples · n // 2) uniform coalitions and their complements.

    2 · p evaluations. Every coalition serves every player (maximum sample reuse, Wang & Jia 2023). Unbiased; unlike
    Shapley values they do not sum to v(all) − v(none).
    """
    return last(_parts(game, players, seed, max(1, samples * players // 2)), averaged, until)


def _parts(game: Play, players: int, seed: int, pairs: int) -> Iterator[tuple[int, Tensor]]:
    generator = torch.Generator().manual_seed(seed)
    drawn = (torch.rand(size, players, generator=generator).round() for size in shares(pairs))
    return each(game, _part, drawn)


def _part(game: Play, coalitions: Tensor) -> tuple[int, Tensor]:
    worths, opposite = opposed(game, coalitions)
    return len(coalitions), (worths - opposite).T @ (2 * coalitions - 1)
