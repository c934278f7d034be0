"""Random: the control that every criterion must beat."""

from collections.abc import Sequence

import torch
from torch import nn

from methods.criterion import Scores
from methods.groups import Group


def random(model: nn.Module, groups: Sequence[Group], evidence=None, seed: int = 0) -> Scores:
    """Uniform scores, from a generator of their own; a unit has the same one however many of the others are gone."""
    generator = torch.Generator().manual_seed(seed)
    return Scores({group.name: torch.rand(group.size, generator=generator)[group.ids] for group in groups})
