"""What the weights alone say: their size, their place among the others, their BatchNorm's scale. No data."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from methods.criterion import Impossible, Scores
from methods.groups import NORMS, Group, require_units


def magnitude(model: nn.Module, groups: Sequence[Group], evidence=None, seed: int = 0, *, norm: float = 2) -> Scores:
    """The L1 (`norm=1`; Li et al. 2017, section 3.1) or L2 norm of the weights that write each unit.

    Single weights by their size: Han et al. 2015, section 3.
    """
    return Scores({group.name: group.written(model).norm(norm, dim=1).cpu() for group in groups})


def lamp(model: nn.Module, groups: Sequence[Group], evidence=None, seed: int = 0) -> Scores:
    """A unit's share of its own and all larger squared norms of its group (Lee et al. 2021, eq. 3, for weights).

    The largest of a group scores 1, so that `allocation=global_raw` never empties one.
    """
    return Scores({group.name: _lamp(group.written(model).square().sum(dim=1)).cpu() for group in groups})


def _lamp(squares: Tensor) -> Tensor:
    descending, order = squares.sort(descending=True)
    scores = torch.empty_like(squares)
    scores[order] = descending / descending.cumsum(dim=0).clamp_min(torch.finfo(squares.dtype).tiny)
    return scores


def fpgm(model: nn.Module, groups: Sequence[Group], evidence=None, seed: int = 0) -> Scores:
    """The sum of distances from a unit's weights to those of the others: small near the geometric median, where others
    can stand in for it (He et al. 2019, eq. 4 of the authors' revised version)."""
    require_units(groups)
    rows = {group.name: group.written(model) for group in groups}
    return Scores({name: torch.cdist(of_unit, of_unit).sum(dim=1).cpu() for name, of_unit in rows.items()})


def bn_scale(model: nn.Module, groups: Sequence[Group], evidence=None, seed: int = 0) -> Scores:
    """The size of the BatchNorm scale of each unit, over the norms it passes: |γ| (Liu et al. 2017, of their eq. 2).

    The paper (network slimming) trains with an L1 penalty on γ (eq. 1); here all criteria share one training.
    Raises ValueError for a group without BatchNorm, as its units would have no score.
    """
    require_units(groups)
    return Scores({group.name: _scale(model, group).cpu() for group in groups})


def _scale(model: nn.Module, group: Group) -> Tensor:
    layers = [(model.get_submodule(s.layer), s.index) for s in group.slices if s.side == "out"]
    scales = [
        layer.weight.detach()[index.to(layer.weight.device)]
        for layer, index in layers
        if isinstance(layer, NORMS) and layer.affine
    ]
    if not scales:
        raise Impossible(f"bn_scale finds no BatchNorm behind {group.name}: choose method=magnitude or another model")
    return torch.cat(scales, dim=1).abs().sum(dim=1)
