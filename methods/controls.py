"""Controls for any criterion: what remains of its advantage when only the widths that it chooses are kept."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from methods.criterion import Scores

Criterion = Callable[..., Scores]


def shuffled(model: nn.Module, groups: Sequence, evidence, seed: int = 0, *, criterion: Criterion) -> Scores:
    """The criterion's scores, shuffled within each group.

    Every allocation ranks a group's scores by what they are, not by whose they are, so that each group keeps as many
    units as under the criterion itself: random choice at the criterion's widths. Where a schedule scores anew after
    each round, the later widths are those that the criterion gives the network of this control.
    """
    generator = torch.Generator().manual_seed(seed)
    scores = criterion(model, groups, evidence, seed)
    return _within(scores, lambda values: values[torch.randperm(len(values), generator=generator)])


def inverted(model: nn.Module, groups: Sequence, evidence, seed: int = 0, *, criterion: Criterion) -> Scores:
    """The criterion's scores, the best unit of a group with the worst one's and so on: its widths, not its choice."""
    return _within(criterion(model, groups, evidence, seed), _upside_down)


def _upside_down(values: Tensor) -> Tensor:
    ascending = values.sort(stable=True)
    return torch.empty_like(values).scatter(0, ascending.indices, ascending.values.flip(0))


def _within(scores: Scores, change: Callable[[Tensor], Tensor]) -> Scores:
    """The scores with those of each group in another order; their errors are nobody's any more."""
    return replace(scores, by_group={name: change(values) for name, values in scores.by_group.items()}, errors={})
