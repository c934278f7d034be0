"""Single weights as units: unstructured pruning, which makes weights zero and the network no smaller."""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from methods.costs import Cost
from methods.criterion import Impossible
from methods.groups import WRITERS, weight_of


@dataclass(frozen=True)
class Weights:
    """The entries of one layer's weight as players; `ids` (n,) are positions in the flattened tensor."""

    name: str
    size: int
    ids: Tensor
    width: ClassVar[int] = 1

    def written(self, model: nn.Module) -> Tensor:
        """Each weight, as the one that "writes" itself: (n, 1)."""
        return self.rows({f"{self.name}.weight": weight_of(model.get_submodule(self.name)).detach()})

    def rows(self, tensors: Mapping[str, Tensor]) -> Tensor:
        """Of tensors in the shape of the layers' weights, what belongs to each weight: (n, 1)."""
        tensor = tensors[f"{self.name}.weight"]
        return tensor.flatten()[self.ids.to(tensor.device), None]


class Mask(nn.Module):
    """A parametrization that holds weights at zero whatever the optimiser's momentum or weight decay does."""

    mask: Tensor

    def __init__(self, mask: Tensor):
        super().__init__()
        self.register_buffer("mask", mask)

    def forward(self, weight: Tensor) -> Tensor:
        return weight * self.mask


def find(model: nn.Module) -> tuple[Weights, ...]:
    """The weights of every convolution and linear layer, one group a layer."""
    layers = {name: m.weight.numel() for name, m in model.named_modules() if isinstance(m, WRITERS)}
    if not layers:
        raise Impossible(f"{type(model).__name__} has no convolution or linear layer, so no weights to prune")
    return tuple(Weights(name, size, torch.arange(size)) for name, size in layers.items())


def weight_cost(model: nn.Module, groups: Sequence[Weights], of: str) -> Cost:
    """Non-zero parameters by the number of weights left in each layer; "units" are the weights themselves.

    Raises ValueError for "macs" and "latency": zeros save none on dense hardware.
    """
    if of not in ("units", "parameters"):
        raise Impossible(f"budget={of} does not fit granularity=weight: choose budget=parameters or budget=units")
    sizes = np.array([group.size for group in groups])
    fixed = sum(p.numel() for p in model.parameters()) - sizes.sum() if of == "parameters" else 0
    return Cost(lambda counts: fixed + counts.sum(), sizes)


def mask(
    model: nn.Module, groups: Sequence[Weights], kept: Mapping[str, Tensor]
) -> tuple[nn.Module, tuple[Weights, ...]]:
    """A copy of `model` in which the weights that are not kept are, and stay, zero."""
    copy = bake(model)
    for group in groups:
        layer = copy.get_submodule(group.name)
        weight = weight_of(layer)
        alive = torch.zeros(group.size)
        alive[kept[group.name]] = 1
        parametrization = Mask(alive.reshape(weight.shape).to(weight))
        parametrize.register_parametrization(layer, "weight", parametrization)
    return copy, tuple(replace(group, ids=kept[group.name]) for group in groups)


def bake(model: nn.Module) -> nn.Module:
    """A copy of `model` with plain parameters: the zeros are in the weights, and nothing holds them any more."""
    copy = deepcopy(model)
    for layer in list(copy.modules()):
        if parametrize.is_parametrized(layer, "weight"):
            kind = type(layer)  # a class that copies share, and that the next line would take the weight away from
            layer.__class__ = type(kind.__name__, kind.__bases__, dict(kind.__dict__))
            parametrize.remove_parametrizations(layer, "weight")
    return copy
