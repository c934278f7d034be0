"""Which units live and die together."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from methods.criterion import Impossible
from methods.recurrent import RECURRENT, WEIGHTS, by_unit, is_prunable

LAST = (nn.Linear, *RECURRENT)  # layers whose channels come last
WRITERS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


@dataclass(frozen=True)
class Slice:
    """The part of one layer that belongs to a group: row u of `index` (n, r) is unit u's share of the channels.

    `side` is "in" where the layer reads the group, "out" where it writes or carries it (BatchNorm, depthwise), "hidden"
    where a recurrent layer reads what it has written.
    """

    layer: str
    side: str
    index: Tensor


@dataclass(frozen=True)
class Group:
    """Units that are coupled across layers, one player each; `ids` (n,) are their numbers in the dense network."""

    name: str
    size: int
    ids: Tensor
    slices: tuple[Slice, ...]

    @property
    def width(self) -> int:
        """How many channels a unit has where it is written: one, but for a head."""
        return next((s.index.shape[1] for s in self.slices if (s.layer, s.side) == (self.name, "out")), 1)

    @property
    def readers(self) -> tuple[Slice, ...]:
        """The slices of the layers whose input the units are: where a mask is exact."""
        return tuple(s for s in self.slices if s.side != "out")

    def written(self, model: nn.Module) -> Tensor:
        """The weights (n, d) that write each unit, over all the layers that write the group."""
        return self.rows(weights(model)).detach()

    def rows(self, tensors: Mapping[str, Tensor]) -> Tensor:
        """Of tensors in the shapes of `weights(model)`, what belongs to the weights that write each unit: (n, d)."""
        written = [(s.layer, s.index) for s in self.slices if s.side == "out"]
        found = [(tensor, index) for layer, index in written for tensor in _of_layer(tensors, layer)]
        return torch.cat([tensor[index.to(tensor.device)].flatten(1) for tensor, index in found], dim=1)


def require_units(groups: Iterable[object]) -> None:
    """Raise ValueError for players that are not units, but single weights."""
    if not all(isinstance(group, Group) for group in groups):
        raise Impossible(
            "this method scores units, not weights: choose granularity=unit, or a method for weights: magnitude, "
            "random, gradual, lamp, snip, grasp, synflow or wanda"
        )


def weights(model: nn.Module) -> dict[str, Tensor]:
    """The weights of every layer that makes channels of its own, by their names."""
    return {
        f"{name}.{kind}".lstrip("."): getattr(layer, kind)
        for name, layer in model.named_modules()
        if is_writer(layer) or is_prunable(layer)
        for kind in (("weight",) if is_writer(layer) else WEIGHTS.values())
    }


def _of_layer(tensors: Mapping[str, Tensor], layer: str) -> list[Tensor]:
    """Those of a layer's tensors, with a row for each channel that it writes."""
    if f"{layer}.weight_hh_l0" in tensors:
        hidden = tensors[f"{layer}.weight_hh_l0"].shape[1]
        return [by_unit(tensors[f"{layer}.{name}"], hidden) for name in WEIGHTS.values()]
    return [tensors[f"{layer}.weight"]] if f"{layer}.weight" in tensors else []


def weight_of(layer: nn.Module) -> Tensor:
    """The weight of a convolution or linear layer, parametrized or not."""
    weight = layer.weight
    assert isinstance(weight, Tensor)
    return weight


def is_writer(layer: nn.Module) -> bool:
    """Whether `layer` makes channels of its own, rather than carry those it reads."""
    return isinstance(layer, WRITERS) and not is_depthwise(layer)


def is_depthwise(layer: nn.Module) -> bool:
    """Whether each output channel of `layer` reads just the input channel of its own number."""
    return isinstance(layer, WRITERS[:3]) and layer.groups == layer.in_channels == layer.out_channels > 1


@contextmanager
def evaluation(model: nn.Module) -> Iterator[nn.Module]:
    """Within the context `model` is in eval mode; afterwards each module is in the mode it was in."""
    training = [module for module in model.modules() if module.training]
    try:
        yield model.eval()
    finally:
        for module in training:
            module.training = True
