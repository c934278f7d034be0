"""What a network costs, as a function of how many units each group has left: no surgery needed to know."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from methods.attention import Attention
from methods.groups import LAST, NORMS, WRITERS, Group, evaluation, weight_of
from methods.latency import Measured, latency
from methods.recurrent import RECURRENT, is_prunable
from methods.shrinkage import Shrinkage, channels, layers_of


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


def unit_cost(
    model: nn.Module, groups: Sequence[Group], example: Tensor, of: str, table: Measured | None = None
) -> Cost:
    """The cost in `of`: "units", "parameters" (all of them), "macs" (of matrix products, one example) or "latency".

    `model` and `groups` are the dense network's; `table` has latencies that were measured and takes those that are.
    Raises ValueError for another name.
    """
    sizes = np.array([group.size for group in groups])
    match of:
        case "units":
            return Cost(np.sum, sizes)
        case "parameters":
            return Cost(_parameters(model, groups), sizes)
        case "macs":
            return Cost(_macs(model, groups, example), sizes)
        case "latency":
            return Cost(latency(model, groups, example, table), sizes)
    raise ValueError(f"budget={of} is unknown: choose units, parameters, macs or latency")


def _parameters(model: nn.Module, groups: Sequence[Group]) -> Callable[[np.ndarray], float]:
    layers = layers_of(model)
    shrinkage = Shrinkage.of(layers, groups)
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
    layers = layers_of(model)
    shrinkage = Shrinkage.of(layers, groups)
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
            2 * at[name] * at[inside[name]] * channels(layer, 0) if name in inside else 0
            for name, layer in layers.items()
        ]
    )


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
