"""Leave-one-out: what the worth loses when one unit leaves all others (the "oracle" of Molchanov et al. 2017)."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from methods.criterion import Scores
from methods.game import Evidence, Worth, play
from methods.groups import Group


def leave_one_out(
    model: nn.Module,
    groups: Sequence[Group],
    evidence: Evidence,
    seed: int = 0,
    *,
    worth: Worth,
    aggregate: Callable[[Tensor], Tensor],
) -> Scores:
    """v(all) − v(all but the unit), aggregated over the examples: n + 1 evaluations a group."""
    return play(model, groups, evidence, worth, aggregate, lambda game: losses(game, game.players))


def losses(game: Callable[[Tensor], Tensor], players: int) -> Tensor:
    """What each example loses with each player: (N, n)."""
    full, *without = game(torch.cat([torch.ones(1, players), 1 - torch.eye(players)]))
    return (full - torch.stack(without)).T
