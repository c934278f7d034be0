"""What a network costs, as a function of how many units each group has left: no surgery needed to know."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
import torch
from torch import Tensor, nn

from methods.groups import WRITERS, Group, is_depthwise


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
    """The cost in `of`: "units", "parameters" (all of them) or "macs" (of convolutions and linear layers, one example).

    `model` and `groups` are the dense network's. Raises ValueError for another name.
    """
    sizes = np.array([group.size for group in groups])
    if of == "units":
        return Cost(np.sum, sizes)
    if of not in ("parameters", "macs"):
        raise ValueError(f"budget={of} is unknown: choose units, parameters or macs")
    layers = _layers(model)
    positions = _positions(model, layers, example) if of == "macs" else None
    weights = np.array([w.numel() if (w := layer.weight) is not None and w.dim() > 1 else 0 for layer in layers.values()])
    others = np.array([sum(p.numel() for p in layer.parameters(recurse=False)) for layer in layers.values()]) - weights
    shrinkage = _Shrinkage.of(layers, groups, sizes)
    if positions is not None:
        return Cost(lambda counts: weights * positions @ np.prod(shrinkage(counts), axis=0), sizes)
    fixed = sum(p.numel() for p in model.parameters()) - weights.sum() - others.sum()

    def parameters(counts: np.ndarray) -> float:
        outs, ins = shrinkage(counts)
        return fixed + weights @ (outs * ins) + others @ outs

    return Cost(parameters, sizes)


@dataclass(frozen=True)
class _Shrinkage:
    """The fractions (2, layers) of output and input channels that are left: linear in the counts."""

    lost: np.ndarray  # (2, layers, groups): the fraction of the channels that one unit takes with it
    sizes: np.ndarray

    @classmethod
    def of(cls, layers: dict[str, nn.Module], groups: Sequence[Group], sizes: np.ndarray) -> "_Shrinkage":
        lost = np.zeros((2, len(layers), len(groups)))
        row = {name: i for i, name in enumerate(layers)}
        for column, group in enumerate(groups):
            for s in group.slices:
                side = 0 if s.side == "out" else 1
                lost[side, row[s.layer], column] += s.index.shape[1] / _channels(layers[s.layer], side)
        return cls(lost, sizes)

    def __call__(self, counts: np.ndarray) -> np.ndarray:
        return 1 - self.lost @ (self.sizes - counts)


def _channels(layer: nn.Module, side: int) -> int:
    weight = layer.weight if layer.weight is not None else layer.running_mean
    return weight.shape[side]  # type: ignore[union-attr, operator, index, return-value]


def _layers(model: nn.Module) -> dict[str, nn.Module]:
    """The layers that groups can touch."""
    kinds = (*WRITERS, nn.modules.batchnorm._BatchNorm)
    return {name: module for name, module in model.named_modules() if isinstance(module, kinds)}


def _positions(model: nn.Module, layers: dict[str, nn.Module], example: Tensor) -> np.ndarray:
    """How many times per example each layer's matrix is applied: 0 for layers without one."""
    applied = dict.fromkeys(layers, 0)

    def count(name: str) -> Callable:
        def hook(layer: nn.Module, inputs: object, output: Tensor) -> None:
            channels = layer.weight.shape[0]  # type: ignore[index, union-attr]
            applied[name] += prod(output.shape) // (channels * len(example))
        return hook

    matrices = {name: layer for name, layer in layers.items() if isinstance(layer, WRITERS)}
    hooks = [layer.register_forward_hook(count(name)) for name, layer in matrices.items()]
    training = [m for m in model.modules() if m.training]
    try:
        with torch.no_grad():
            model.eval()(example)
    finally:
        for hook in hooks:
            hook.remove()
        for module in training:
            module.training = True
    return np.array(list(applied.values()))


def coverage(cost: Cost) -> float:
    """The share of the cost that would vanish with all units of all groups: what pruning can reach at all."""
    return 1 - cost(np.zeros_like(cost.sizes)) / cost.dense
