"""Magnitude: a unit is worth the size of the weights that write it (Li et al. 2017; weights: Han et al. 2015)."""

from collections.abc import Sequence

from torch import nn

from methods.criterion import Scores
from methods.groups import Group


def magnitude(model: nn.Module, groups: Sequence[Group], evidence=None, seed: int = 0, *, norm: float = 2) -> Scores:
    """The L1 (`norm=1`) or L2 norm of the weights that write each unit; neither data nor seed matters."""
    return Scores({group.name: group.written(model).norm(norm, dim=1).cpu() for group in groups})
