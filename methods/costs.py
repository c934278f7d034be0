"""What a network costs, as a function of how many units each group has left: no surgery needed to know."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from methods.attention import Attention
from methods.groups import LAST, NORMS, WRITERS, Group, evaluation, weight_of
from methods.recurrent import RECURRENT, is_prunable


@dataclass(frozen=True)
class Cost:
    """The cost of the network by the number of units (groups,) that are left in each group; `dense` is all of it."""

    of_counts: Callable[[np.ndarray], float]
    sizes: np.ndarray

    def __call__(self, counts: np.ndarray) -> float:
        return float(self.of_counts(counts))

    @property
    def dense(self) -> float:
        return self(self.sizes)


def unit_cost(model: nn.Module, groups: Sequence[Group], example: Tensor, of: str) -> Cost:
    """The cost in `of`: "units", "parameters" (all of them) or "macs" (of matrix products, one example).

    `model` and `groups` are the dense network's. Raises ValueError for another name.
    """
    sizes = np.array([group.size for group in groups])
    match of:
        case "units":
            return Cost(np.sum, sizes)
        case "parameters":
            return Cost(_parameters(model, groups), sizes)
        case "macs":
            return Cost(_macs(model, groups, example), sizes)
    raise ValueError(f"budget={of} is unknown: choose units, parameters or macs")


def _parameters(model: nn.Module, groups: Sequence[Group]) -> Callable[[np.ndarray], float]:
    layers = _layers(model)
    shrinkage = _Shrinkage.of(layers, groups)
    matrices = np.array([_matrix(layer) for layer in layers.values()])
    squares = np.array([_square(layer) for layer in layers.values()])
    everything = np.array([sum(p.numel() for p in layer.parameters(recurse=False)) for layer in layers.values()])
    vectors = everything - matrices - squares
    fixed = sum(p.numel() for p in model.parameters()) - everything.sum()

    def parameters(counts: np.ndarray) -> float:
        outs, ins = shrinkage(counts)
        return fixed + matrices @ (outs * ins) + squares @ outs**2 + vectors @ outs

    return parameters


def _macs(model: nn.Module, groups: Sequence[Group], example: Tensor) -> Callable[[np.ndarray], float]:
    layers = _layers(model)
    shrinkage = _Shrinkage.of(layers, groups)
    positions = _positions(model, layers, example)
    matrices = np.array([_matrix(layer) for layer in layers.values()]) * positions
    squares = np.array([_square(layer) for layer in layers.values()]) * positions
    products = _products(model, layers, positions)

    def macs(counts: np.ndarray) -> float:
        outs, ins = shrinkage(counts)
        return matrices @ (outs * ins) + squares @ outs**2 + products @ outs

    return macs


def _products(model: nn.Module, layers: dict[str, nn.Module], positions: np.ndarray) -> np.ndarray:
    """What attention multiplies without weights (queries by keys, their softmax by values), at its layer of queries."""
    at = dict(zip(layers, positions, strict=True))
    inside = {f"{name}.q": f"{name}.k" for name, layer in model.named_modules() if isinstance(layer, Attention)}
    return np.array(
        [
            2 * at[name] * at[inside[name]] * _channels(layer, 0) if name in inside else 0
            for name, layer in layers.items()
        ]
    )


@dataclass(frozen=True)
class _Shrinkage:
    """The fractions (2, layers) of output and input channels that are left: linear in the counts."""

    lost: np.ndarray  # (2, layers, groups): the fraction of the channels that one unit takes with it
    sizes: np.ndarray

    @classmethod
    def of(cls, layers: dict[str, nn.Module], groups: Sequence[Group]) -> "_Shrinkage":
        lost = np.zeros((2, len(layers), len(groups)))
        row = {name: i for i, name in enumerate(layers)}
        for column, group in enumerate(groups):
            for s in group.slices:
                if s.side == "hidden":
                    continue  # a layer's own units, which are counted where they are written
                side = 0 if s.side == "out" else 1
                lost[side, row[s.layer], column] += s.index.shape[1] / _channels(layers[s.layer], side)
        return cls(lost, np.array([group.size for group in groups]))

    def __call__(self, counts: np.ndarray) -> np.ndarray:
        return 1 - self.lost @ (self.sizes - counts)


def _layers(model: nn.Module) -> dict[str, nn.Module]:
    """The layers that groups can touch."""
    return {name: m for name, m in model.named_modules() if isinstance(m, WRITERS + NORMS + RECURRENT)}


def _channels(layer: nn.Module, side: int) -> int:
    if isinstance(layer, RECURRENT):
        return (layer.hidden_size, layer.input_size)[side]
    return layer.num_features if isinstance(layer, NORMS) else weight_of(layer).shape[side]


def _matrix(layer: nn.Module) -> int:
    """The number of weights between input and output channels."""
    if isinstance(layer, RECURRENT):
        return sum(p.numel() for p in layer.parameters() if p.dim() == 2) - _square(layer)
    return weight_of(layer).numel() if isinstance(layer, WRITERS) else 0


def _square(layer: nn.Module) -> int:
    """The number of weights between output channels and themselves."""
    return layer.get_parameter("weight_hh_l0").numel() if is_prunable(layer) else 0


def _positions(model: nn.Module, layers: dict[str, nn.Module], example: Tensor) -> np.ndarray:
    """How many times per example each layer's matrix is applied: 0 for layers without one."""
    applied = dict.fromkeys(layers, 0)

    def count(name: str) -> Callable:
        def hook(layer: nn.Module, inputs: object, output: Tensor | tuple[Tensor, object]) -> None:
            outputs = output[0] if isinstance(output, tuple) else output
            channels = outputs.shape[-1 if isinstance(layer, LAST) else 1]
            applied[name] += outputs.numel() // (channels * len(example))

        return hook

    with ExitStack() as hooks, torch.no_grad(), evaluation(model):
        for name, layer in layers.items():
            if not isinstance(layer, NORMS):
                hooks.callback(layer.register_forward_hook(count(name)).remove)
        model(example)
    return np.array(list(applied.values()))


def coverage(cost: Cost) -> float:
    """The share of the cost that would vanish with all units of all groups: what pruning can reach at all."""
    return 1 - cost(np.zeros_like(cost.sizes)) / cost.dense
