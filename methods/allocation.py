"""Who stays: from scores and a budget to the units that are kept.

Every allocation is one ranking of all units. What differs is how scores of different groups are made comparable:
`uniform` compares ranks, so that every group loses the same fraction; the others compare sizes ("global" pruning).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from methods.costs import Cost
from methods.groups import Group

Comparable = Callable[[Tensor, int], Tensor]
ROUNDING = 1 + 1e-12  # costs are sums of fractions: half of 100 parameters may read 50.00000000000001


def uniform(scores: Tensor, size: int) -> Tensor:
    """A unit's rank in its group over the group's size in the dense network; ties go to the smaller id."""
    best_first = scores.sort(descending=True, stable=True).indices
    ranks = torch.empty_like(best_first)
    ranks[best_first] = torch.arange(len(scores))
    return -(ranks + 0.5) / size


def raw(scores: Tensor, size: int) -> Tensor:
    """Scores as they are: sound where they are one currency in all groups (worths are, norms of weights are not)."""
    return scores


def rms(scores: Tensor, size: int) -> Tensor:
    """Scores over their root mean square in the group: free of the group's scale and size, and signs survive."""
    return _over(scores, scores.square().mean().sqrt())


def mean(scores: Tensor, size: int) -> Tensor:
    """Scores over their mean size in the group (Torch-Pruning's default)."""
    return _over(scores, scores.abs().mean())


def maximum(scores: Tensor, size: int) -> Tensor:
    """Scores over the largest in the group."""
    return _over(scores, scores.abs().amax())


def _over(scores: Tensor, scale: Tensor) -> Tensor:
    return scores / scale if scale > 0 else scores


@dataclass(frozen=True)
class Budget:
    """How much stays: the fraction `keep` of what `of` counts ("units", "parameters" or "macs").

    At least `floor` units of every group stay. Raises ValueError for a fraction outside (0, 1] or a floor below 1.
    """

    keep: float
    of: str = "parameters"
    floor: int = 1

    def __post_init__(self) -> None:
        if not 0 < self.keep <= 1:
            raise ValueError(f"keep={self.keep} is not a fraction: choose 0 < keep <= 1")
        if self.floor < 1:
            raise ValueError(f"floor={self.floor} would empty groups: choose floor >= 1")


def allocate(
    scores: Mapping[str, Tensor], groups: Sequence[Group], cost: Cost, budget: Budget, comparable: Comparable = uniform
) -> dict[str, Tensor]:
    """The ids that stay, by group: the weakest units go, one by one, until the network costs at most the budget.

    So the budget is met to within the cost of the unit that went last. Ties are broken by group, then the larger id
    goes. Raises ValueError for scores that are not finite, and for a budget that the floors make infeasible.
    """
    require_feasible(cost, budget)
    weakest, group_of = _ranking(scores, groups, budget.floor, comparable)
    sizes = np.array([len(group.ids) for group in groups])
    limit = budget.keep * cost.dense * ROUNDING
    removed = _fewest(len(weakest), lambda m: cost(sizes - np.bincount(group_of[:m], minlength=len(groups))), limit)
    return {g.name: _survivors(g, weakest[:removed][group_of[:removed] == i]) for i, g in enumerate(groups)}


def _survivors(group: Group, gone: np.ndarray) -> Tensor:
    stays = torch.ones(len(group.ids), dtype=torch.bool)
    stays[torch.from_numpy(gone)] = False
    return group.ids[stays]


def _ranking(
    scores: Mapping[str, Tensor], groups: Sequence[Group], floor: int, comparable: Comparable
) -> tuple[np.ndarray, np.ndarray]:
    """Positions within their groups, and groups, of all units that may go: the weakest first."""
    entries = [_removable(index, group, scores[group.name], floor, comparable) for index, group in enumerate(groups)]
    keys, positions, group_of = (np.concatenate(column) for column in zip(*entries, strict=True))
    order = np.lexsort((-positions, group_of, keys))
    return positions[order], group_of[order]


def _removable(index: int, group: Group, scores: Tensor, floor: int, comparable: Comparable) -> tuple[np.ndarray, ...]:
    """The group's units but its `floor` best: their keys, positions and group index."""
    if not torch.isfinite(scores).all():
        raise ValueError(f"scores of group {group.name} are not finite: the network or the criterion has diverged")
    best_first = scores.sort(descending=True, stable=True).indices
    positions = best_first[floor:].numpy()
    return comparable(scores.double(), group.size).numpy()[positions], positions, np.full(len(positions), index)


def _fewest(most: int, cost_without: Callable[[int], float], limit: float) -> int:
    """The smallest number of removals that costs at most `limit`, by bisection: costs fall with every removal."""
    low, high = 0, most
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if cost_without(middle) <= limit else (middle + 1, high)
    return low


def require_feasible(cost: Cost, budget: Budget) -> None:
    """Raise ValueError, naming the smallest feasible fraction, when even the floors cost more than the budget."""
    smallest = cost(np.minimum(budget.floor, cost.sizes)) / cost.dense
    if smallest > budget.keep * ROUNDING:
        raise ValueError(
            f"keep={budget.keep:g} of {budget.of} is infeasible: with floor={budget.floor} the smallest feasible is "
            f"keep={np.ceil(smallest * 1e4) / 1e4:g}"
        )
