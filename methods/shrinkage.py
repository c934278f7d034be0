"""How much of each layer is left when groups have lost units."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import nn

from methods.groups import NORMS, WRITERS, Group, weight_of
from methods.recurrent import RECURRENT


@dataclass(frozen=True)
class Shrinkage:
    """The fractions (2, layers) of output and input channels that are left: linear in the counts."""

    lost: np.ndarray  # (2, layers, groups): the fraction of the channels that one unit takes with it
    sizes: np.ndarray

    @classmethod
    def of(cls, layers: dict[str, nn.Module], groups: Sequence[Group]) -> "Shrinkage":
        lost = np.zeros((2, len(layers), len(groups)))
        row = {name: i for i, name in enumerate(layers)}
        for column, group in enumerate(groups):
            for s in group.slices:
                if s.side == "hidden":
                    continue  # a layer's own units, which are counted where they are written
                side = 0 if s.side == "out" else 1
                lost[side, row[s.layer], column] += s.index.shape[1] / channels(layers[s.layer], side)
        return cls(lost, np.array([group.size for group in groups]))

    def __call__(self, counts: np.ndarray) -> np.ndarray:
        return 1 - self.lost @ (self.sizes - counts)


def layers_of(model: nn.Module) -> dict[str, nn.Module]:
    """The layers that groups can touch."""
    return {name: m for name, m in model.named_modules() if isinstance(m, WRITERS + NORMS + RECURRENT)}


def channels(layer: nn.Module, side: int) -> int:
    """Of the output (side 0) or the input (side 1) of a layer."""
    if isinstance(layer, RECURRENT):
        return (layer.hidden_size, layer.input_size)[side]
    return layer.num_features if isinstance(layer, NORMS) else weight_of(layer).shape[side]
