"""Who stays: from scores and a budget to the units that are kept.

Every allocation is one ranking of all units. What differs is how scores of different groups are made comparable:
`uniform` compares ranks, so that every group loses the same fraction; the others compare sizes ("global" pruning).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import gcd

import numpy as np
import torch
from torch import Tensor

from methods.costs import Cost
from methods.groups import Group

Comparable = Callable[[Tensor, int, float], Tensor]  # a group's scores, its dense size, and what a unit of it saves
ROUNDING = 1 + 1e-12  # costs are sums of fractions: half of 100 parameters may read 50.00000000000001


def uniform(scores: Tensor, size: int, saving: float = 1.0) -> Tensor:
    """A unit's rank in its group over the group's size in the dense network; ties go to the smaller id."""
    best_first = scores.sort(descending=True, stable=True).indices
    ranks = torch.empty_like(best_first)
    ranks[best_first] = torch.arange(len(scores))
    return -(ranks + 0.5) / size


def raw(scores: Tensor, size: int, saving: float = 1.0) -> Tensor:
    """Scores as they are: sound where they are one currency in all groups (worths are, norms of weights are not)."""
    return scores


def rms(scores: Tensor, size: int, saving: float = 1.0) -> Tensor:
    """Scores over their root mean square in the group: free of the group's scale and size, and signs survive."""
    return _over(scores, scores.square().mean().sqrt())


def mean(scores: Tensor, size: int, saving: float = 1.0) -> Tensor:
    """Scores over their mean size in the group (Torch-Pruning's default)."""
    return _over(scores, scores.abs().mean())


def maximum(scores: Tensor, size: int, saving: float = 1.0) -> Tensor:
    """Scores over the largest in the group."""
    return _over(scores, scores.abs().amax())


def knapsack(scores: Tensor, size: int, saving: float = 1.0) -> Tensor:
    """`rms` over what a unit saves: units go first that are worth least for their cost (Dantzig 1957's greedy rule).

    For scores that are positive; a negative one, of a unit that harms, is made worse by a small saving, not better.
    """
    return rms(scores, size) / saving if saving > 0 else torch.full_like(scores, torch.inf)


def _over(scores: Tensor, scale: Tensor) -> Tensor:
    return scores / scale if scale > 0 else scores


@dataclass(frozen=True)
class Budget:
    """How much stays: the fraction `keep` of what `of` counts ("units", "parameters" or "macs").

    At least `floor` units of every group stay, and a `multiple` of channels, or all of them: hardware computes channels
    in blocks (of 8 or 16), so that a width in between saves nothing. Raises ValueError for a fraction outside (0, 1],
    and for a floor or multiple below 1.
    """

    keep: float
    of: str = "parameters"
    floor: int = 1
    multiple: int = 1

    def __post_init__(self) -> None:
        if not 0 < self.keep <= 1:
            raise ValueError(f"keep={self.keep} is not a fraction: choose 0 < keep <= 1")
        if self.floor < 1:
            raise ValueError(f"floor={self.floor} would empty groups: choose floor >= 1")
        if self.multiple < 1:
            raise ValueError(f"multiple={self.multiple} is no number of channels: choose multiple >= 1")

    def blocks(self, groups: Sequence[Group]) -> np.ndarray:
        """How many units (groups,) make a multiple of channels: a head of 32 is one of 8 by itself."""
        return np.array([self.multiple // gcd(self.multiple, group.width) for group in groups])

    def least(self, groups: Sequence[Group]) -> np.ndarray:
        """The fewest units (groups,) that may be left."""
        blocks = self.blocks(groups)
        return np.minimum([len(group.ids) for group in groups], -(-self.floor // blocks) * blocks)


def allocate(
    scores: Mapping[str, Tensor], groups: Sequence[Group], cost: Cost, budget: Budget, comparable: Comparable = uniform
) -> dict[str, Tensor]:
    """The ids that stay, by group: the weakest units go, one by one, until the network costs at most the budget.

    With a multiple, blocks of a group's weakest units go, ranked by their means. So the budget is met to within the
    cost of the unit or block that went last. Ties are broken by group, then the larger id goes. Raises ValueError for
    scores that are not finite, and for a budget that the floors make infeasible.
    """
    require_feasible(cost, budget, groups)
    weakest, group_of, ends = _ranking(scores, groups, cost, budget, comparable)
    sizes = np.array([len(group.ids) for group in groups])
    limit = budget.keep * cost.dense * ROUNDING

    def cost_without(blocks: int) -> float:
        return cost(sizes - np.bincount(group_of[: ends[blocks]], minlength=len(groups)))

    removed = ends[_fewest(len(ends) - 1, cost_without, limit)]
    return {g.name: _survivors(g, weakest[:removed][group_of[:removed] == i]) for i, g in enumerate(groups)}


def _survivors(group: Group, gone: np.ndarray) -> Tensor:
    stays = torch.ones(len(group.ids), dtype=torch.bool)
    stays[torch.from_numpy(gone)] = False
    return group.ids[stays]


def _ranking(
    scores: Mapping[str, Tensor], groups: Sequence[Group], cost: Cost, budget: Budget, comparable: Comparable
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Positions within their groups, and groups, of all units that may go, the weakest first; and where blocks end."""
    savings = _savings(cost)
    entries = [
        _removable(index, group, scores[group.name], savings[index], budget, comparable)
        for index, group in enumerate(groups)
    ]
    keys, blocks, positions, group_of = (np.concatenate(column) for column in zip(*entries, strict=True))
    order = np.lexsort((-positions, blocks, group_of, keys))
    starts = np.diff(blocks[order], prepend=-1).astype(bool) | np.diff(group_of[order], prepend=-1).astype(bool)
    return positions[order], group_of[order], np.append(np.flatnonzero(starts), len(order))


def _removable(
    index: int, group: Group, scores: Tensor, saving: float, budget: Budget, comparable: Comparable
) -> tuple[np.ndarray, ...]:
    """The group's units that may go, weakest first: keys and numbers of their blocks, positions, group index."""
    if not torch.isfinite(scores).all():
        raise ValueError(f"scores of group {group.name} are not finite: the network or the criterion has diverged")
    best_first = scores.sort(descending=True, stable=True).indices.numpy()
    [least], [size] = budget.least([group]), budget.blocks([group])
    weakest_first = best_first[least:][::-1]
    first = len(scores) % size or size  # the block that leaves a multiple behind
    blocks = (np.arange(len(weakest_first)) - first) // size + 1
    keys = comparable(scores.double(), group.size, saving).numpy()[weakest_first]
    sums, counts = np.bincount(blocks, keys), np.bincount(blocks)
    ascending = np.maximum.accumulate(sums / np.maximum(counts, 1))  # equal scores have sums that are rounded apart
    return ascending[blocks], blocks, weakest_first, np.full(len(blocks), index)


def _savings(cost: Cost) -> list[float]:
    """What a unit of each group saves of the dense network's cost, on the average of all of them."""
    alone = cost.sizes * (1 - np.eye(len(cost.sizes), dtype=int))
    return [(cost.dense - cost(counts)) / size for counts, size in zip(alone, cost.sizes, strict=True)]


def _fewest(most: int, cost_without: Callable[[int], float], limit: float) -> int:
    """The smallest number of removals that costs at most `limit`, by bisection: costs fall with every removal."""
    low, high = 0, most
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if cost_without(middle) <= limit else (middle + 1, high)
    return low


def require_feasible(cost: Cost, budget: Budget, groups: Sequence[Group]) -> None:
    """Raise ValueError, naming the smallest feasible fraction, when even the floors cost more than the budget."""
    smallest = cost(budget.least(groups)) / cost.dense
    if smallest > budget.keep * ROUNDING:
        rounded = f" and multiple={budget.multiple}" if budget.multiple > 1 else ""
        raise ValueError(
            f"keep={budget.keep:g} of {budget.of} is infeasible: with floor={budget.floor}{rounded} the smallest "
            f"feasible is keep={np.ceil(smallest * 1e4) / 1e4:g}"
        )
