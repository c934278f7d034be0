"""Budgets between layers by Shapley values of whole groups, within them by any criterion."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from methods.criterion import Scores
from methods.estimators.estimate import Estimate
from methods.estimators.permutation import Quotient, permutation
from methods.game import GIB, Evidence, Game, Worth
from methods.groups import Group
from methods.shards import team


def group_shapley(
    model: nn.Module,
    groups: Sequence[Group],
    evidence: Evidence,
    seed: int = 0,
    *,
    worth: Worth,
    criterion: Callable[..., Scores],
    estimator: Callable[..., Estimate] = permutation,
    memory: float = 2 * GIB,
    workers: int = 1,
) -> Scores:
    """Each group's Shapley value in the game of whole groups, shared out among its units by another criterion.

    Shares are those of the sizes of the criterion's scores, so that one ranking of all units (`allocation=global_raw`)
    takes more from the groups that are worth less a unit. The players are groups as wholes: a group that is left out
    is replaced by nothing.
    """
    partition = torch.arange(len(groups)).repeat_interleave(torch.tensor([len(group.ids) for group in groups]))
    with team(workers) as shared:
        game = shared(lambda: Quotient(Game(model, groups, worth, evidence, memory), partition))
        values = estimator(game, len(groups), seed).scores()
    within = criterion(model, groups, evidence, seed)
    scores = {g.name: _shared(value, within.by_group[g.name]) for g, value in zip(groups, values, strict=True)}
    return Scores(scores, evaluations=game.evaluations + within.evaluations)


def _shared(value: Tensor, scores: Tensor) -> Tensor:
    """The value, which may be negative, among units in the order of their scores: it is what the shares sum to."""
    total, even = scores.abs().sum(), 1 / len(scores)
    shares = scores.abs() / total if total > 0 else torch.full_like(scores, even)
    return value * even + value.abs() * (shares - even)
