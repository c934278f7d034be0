"""Dynamic sparsity: weights that are gone may grow back, in exchange for others (RigL, Evci et al. 2020)."""

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

from methods.criterion import Scores
from methods.groups import weight_of
from methods.sparsity import Weights, bake


def growth(model: nn.Module, groups: Sequence[Weights], loss: Callable[[nn.Module], Tensor]) -> Scores:
    """|∂ loss / ∂ w| of all weights of a layer, (size,) by group: of those too that a mask holds at zero.

    `loss` maps a network to a scalar; it is given a copy, whose weights are its parameters.
    """
    copy = bake(model).requires_grad_(True)
    weights = [weight_of(copy.get_submodule(group.name)) for group in groups]
    gradients = torch.autograd.grad(loss(copy), weights, materialize_grads=True)
    sizes = [gradient.abs().flatten().cpu() for gradient in gradients]
    return Scores({group.name: size for group, size in zip(groups, sizes, strict=True)}, evaluations=1)


def exchange(
    model: nn.Module, groups: Sequence[Weights], fraction: float, growing: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """The ids that are there after the exchange, by group: as many as before (Evci et al. 2020, algorithm 1).

    `fraction` of each group's weights go, rounded down: the smallest. Of all that do not stay as many grow: those with
    the largest `growing` (size,), not negative. They start at zero; one that goes and grows at once keeps its value, as
    in the authors' code. Ties go to the smaller id.
    """
    return {group.name: _exchanged(model, group, fraction, growing[group.name]) for group in groups}


def _exchanged(model: nn.Module, group: Weights, fraction: float, growing: Tensor) -> Tensor:
    count = int(fraction * len(group.ids))
    magnitudes = group.written(model).squeeze(1).abs().cpu()
    stay = group.ids[_largest(magnitudes, len(group.ids) - count)]
    grown = _largest(growing.index_fill(0, stay, -1.0), count)
    return torch.cat([stay, grown]).sort().values


def _largest(values: Tensor, count: int) -> Tensor:
    return values.sort(descending=True, stable=True).indices[:count]
