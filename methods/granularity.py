"""What is removed: whole units, by surgery, or single weights, by masks. `prune` is the same for both."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from torch import Tensor, nn

from methods import costs, dependencies, sparsity, surgery
from methods.costs import Cost
from methods.latency import Measured


class Granularity(Protocol):
    """The four things that differ between units and weights."""

    def find(self, model: nn.Module, example: Tensor) -> Sequence: ...
    def cost(self, model: nn.Module, found: Sequence, example: Tensor, of: str, table: Measured | None) -> Cost: ...
    def remove(self, model: nn.Module, found: Sequence, kept: Mapping[str, Tensor]) -> tuple[nn.Module, Sequence]: ...
    def finish(self, model: nn.Module) -> nn.Module: ...


class Unit:
    """Channels and neurons, physically removed: the network becomes smaller and faster."""

    find = staticmethod(dependencies.find)
    cost = staticmethod(costs.unit_cost)
    remove = staticmethod(surgery.remove)

    @staticmethod
    def finish(model: nn.Module) -> nn.Module:
        return model


class Weight:
    """Single weights, set to zero: the network stays as large and as fast as it was."""

    remove = staticmethod(sparsity.mask)
    finish = staticmethod(sparsity.bake)

    @staticmethod
    def find(model: nn.Module, example: Tensor) -> Sequence:
        return sparsity.find(model)

    @staticmethod
    def cost(model: nn.Module, found: Sequence, example: Tensor, of: str, table: Measured | None = None) -> Cost:
        return sparsity.weight_cost(model, found, of)
