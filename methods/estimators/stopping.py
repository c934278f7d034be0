"""When a sample is large enough: rules for `until`, to be made into functions of an estimate by functools.partial."""

from collections.abc import Callable

import torch
from scipy.stats import t
from torch import Tensor

from methods.aggregate import mean
from methods.estimators.estimate import Estimate

Aggregate = Callable[[Tensor], Tensor]


def error_below(estimate: Estimate, *, error: float, aggregate: Aggregate = mean) -> bool:
    """Whether every score's standard error is below `error`, in the worth's unit."""
    return bool((estimate.standard_errors(aggregate) < error).all())


def stable(estimate: Estimate, *, keep: float, confidence: float = 0.95, aggregate: Aggregate = mean) -> bool:
    """Whether the set that is pruned when the fraction `keep` of the players stays is sure to be the right one."""
    return bool(settled(estimate, keep=keep, confidence=confidence, aggregate=aggregate).all())


def settled(estimate: Estimate, *, keep: float, confidence: float = 0.95, aggregate: Aggregate = mean) -> Tensor:
    """Which players (n,) are sure to lie on their side of the cut, all of them at once with this confidence.

    The cut is midway between the last score that stays and the first that goes; intervals are Student t over the parts
    of the sample, corrected for the number of players (Bonferroni).
    """
    scores = estimate.scores(aggregate)
    players, parts = len(scores), len(estimate.without)
    kept = min(max(round(keep * players), 1), players)
    if parts == 0 or kept == players:
        return torch.ones(players, dtype=torch.bool)
    ranked = scores.sort(descending=True).values
    cut = (ranked[kept - 1] + ranked[kept]) / 2
    quantile = t.ppf(1 - (1 - confidence) / players, max(parts - 1, 1))
    return (scores - cut).abs() > quantile * estimate.standard_errors(aggregate)
