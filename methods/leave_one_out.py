"""Leave-one-out: what the worth loses when one unit leaves all others (Molchanov et al. 2017, section 2.1)."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from methods.criterion import Scores
from methods.estimators.estimate import Estimate, Play, known
from methods.game import GIB, Evidence, Worth, play
from methods.groups import Group
from methods.shards import worths


def leave_one_out(
    model: nn.Module,
    groups: Sequence[Group],
    evidence: Evidence,
    seed: int = 0,
    *,
    worth: Worth,
    aggregate: Callable[[Tensor], Tensor],
    memory: float = 2 * GIB,
    workers: int = 1,
) -> Scores:
    """v(all) − v(all but the unit), aggregated over the examples: n + 1 evaluations a group."""
    return play(model, groups, evidence, worth, aggregate, losses, memory, workers)


def losses(game: Play, players: int) -> Estimate:
    """What each example loses with each player: (N, n), exactly."""
    full, *without = worths(game, torch.cat([torch.ones(1, players), 1 - torch.eye(players)]))
    return known((full - torch.stack(without)).T)
