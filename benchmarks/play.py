"""The game of one layer, played out, for those who want to see it."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.data import Data
from benchmarks.sampling import generator
from benchmarks.tasks import Task
from methods import dependencies
from methods.game import Evidence, Game, Worth
from methods.groups import Group

LARGEST = 64  # units of a group that is chosen by itself


def played(
    networks: Mapping[str, nn.Module],
    task: Task,
    data: Data,
    seed: int,
    *,
    worth: Worth,
    group: str | None,
    examples: int,
    orders: int,
) -> dict[str, Any]:
    """Of the dense network and one group: `orders` (k, n) in which its n units enter, seeded, and `worths` (k, n + 1),
    means over examples, of the coalitions on the way from nobody to all.

    Raises ValueError for a group that the network does not have.
    """
    model, evidence = task.evidence(networks["dense"], data.validation, examples, seed)
    chosen = _chosen(dependencies.find(model, evidence.inputs[:2]), group)
    numbers = generator("orders", seed)
    entering = torch.stack([torch.randperm(chosen.size, generator=numbers) for _ in range(orders)])
    worths = _worths(model, chosen, worth, evidence, entering)
    short = [[float(f"{value:.5g}") for value in row] for row in worths.tolist()]
    return {"group": chosen.name, "orders": entering.tolist(), "worths": short}


def _chosen(found: Sequence[Group], name: str | None) -> Group:
    require_group(found, name)
    small = [group for group in found if group.size <= LARGEST] or list(found)
    return _by_name(found)[name] if name else max(small, key=lambda group: group.size)


def _by_name(found: Sequence[Group]) -> dict[str, Group]:
    return {group.name: group for group in found}


def require_group(found: Sequence[Group], name: str | None) -> None:
    """Raise ValueError for a name, if there is one, that no group has."""
    if name is not None and name not in _by_name(found):
        known = ", ".join(_by_name(found))
        raise ValueError(f"analysis.game.group={name} is no group of this network: choose one of {known}")


def _worths(model: nn.Module, group: Group, worth: Worth, evidence: Evidence, orders: Tensor) -> Tensor:
    """(k, n + 1): the means over examples along each order."""
    game = Game(model, group, worth, evidence)
    entered = orders.argsort(dim=1)  # when each unit enters
    steps = torch.arange(group.size + 1)
    nested = (entered[:, None, :] < steps[None, :, None]).float()  # (k, n + 1, n)
    return torch.stack([game(coalitions).mean(dim=1) for coalitions in nested]).cpu()
