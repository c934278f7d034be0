"""Greedy backward elimination: units leave one by one, always the one that is missed least."""

from collections.abc import Sequence

import torch
from torch import nn

from methods import aggregate
from methods.criterion import Scores
from methods.estimators.estimate import Estimate, Play, known
from methods.game import GIB, Evidence, Worth, play
from methods.groups import Group
from methods.shards import worths


def backward_elimination(
    model: nn.Module,
    groups: Sequence[Group],
    evidence: Evidence,
    seed: int = 0,
    *,
    worth: Worth,
    memory: float = 2 * GIB,
    workers: int = 1,
) -> Scores:
    """In which round a unit leaves its group (0 is the first), by the mean worth of those that stay.

    Marill & Green 1963. n (n + 1) / 2 − 1 evaluations a group of n; ties go to the larger number.
    """
    return play(model, groups, evidence, worth, aggregate.mean, rounds, memory, workers)


def rounds(game: Play, players: int) -> Estimate:
    """The round in which each player leaves: (1, n), exactly."""
    left, scores = torch.arange(players), torch.zeros(1, players)
    for round in range(players - 1):
        stay = torch.zeros(len(left), players).index_fill(1, left, 1.0)
        stay[torch.arange(len(left)), left] = 0
        missed_least = len(left) - 1 - int(worths(game, stay).mean(dim=1).flip(0).argmax())
        scores[0, left[missed_least]] = round
        left = torch.cat([left[:missed_least], left[missed_least + 1 :]])
    scores[0, left] = players - 1
    return known(scores)
