"""Shapley values of units, by any estimator of them."""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor, nn

from methods.criterion import Scores
from methods.estimators.estimate import Estimate, Play
from methods.estimators.permutation import owen as owen_sampling
from methods.estimators.permutation import permutation
from methods.game import GIB, Evidence, Game, Worth, play
from methods.groups import Group
from methods.shards import team


def shapley(
    model: nn.Module,
    groups: Sequence[Group],
    evidence: Evidence,
    seed: int = 0,
    *,
    worth: Worth,
    aggregate: Callable[[Tensor], Tensor],
    estimator: Callable[..., Estimate] = permutation,
    memory: float = 2 * GIB,
    workers: int = 1,
) -> Scores:
    """Each unit's Shapley value in the game of its group, aggregated over the examples of the evidence.

    Shapley 1953; as a criterion of pruning, Ancona et al. 2020.
    `estimator` is one of methods.estimators; `memory` bounds what a game keeps, in bytes, in each of the processes that
    are its `workers`. Values do not depend on how many there are.
    """

    def estimate(game: Play, players: int) -> Estimate:
        return estimator(game, players, seed)

    return play(model, groups, evidence, worth, aggregate, estimate, memory, workers)


def owen(
    model: nn.Module,
    groups: Sequence[Group],
    evidence: Evidence,
    seed: int = 0,
    *,
    worth: Worth,
    aggregate: Callable[[Tensor], Tensor],
    estimator: Callable[..., Estimate] = owen_sampling,
    memory: float = 2 * GIB,
    workers: int = 1,
) -> Scores:
    """Each unit's value in one game of all units of all groups, so that scores of different groups compare.

    With the Owen value (Owen 1977) as estimator, groups are coalitions formed beforehand: a unit enters with its group.
    """
    sizes = [len(group.ids) for group in groups]
    partition = torch.arange(len(groups)).repeat_interleave(torch.tensor(sizes))
    with team(workers) as shared:
        game = shared(partial(Game, model, groups, worth, evidence, memory))
        estimate = estimator(game, sum(sizes), seed, partition=partition)
    parts = [estimate.scores(aggregate).split(sizes), estimate.standard_errors(aggregate).split(sizes)]
    scores, errors = ({g.name: part for g, part in zip(groups, split, strict=True)} for split in parts)
    return Scores(scores, errors, game.evaluations)
