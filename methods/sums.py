"""Sums over the units of a coalition, for one coalition after the other.

Readers are linear: what a unit adds to their output is computed once, and a coalition that differs from the one before
it by one unit costs one addition.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from methods.parts import NOBODY

ADDITION = 12  # multiply-adds of a matrix product that take as long as the addition of one number
LAUNCH = 200_000  # … as starting an addition
SLICE = 4  # times as long as its share of the layer takes one unit's slice of the layer


class Step(NamedTuple):
    """A coalition as changes (unit, amount) of the one before it or, if `fresh`, of the empty coalition."""

    fresh: bool
    changes: list[tuple[int, float]]


class Sums:
    """Tensors (N, …) that are affine in the coalition, for N examples.

    `tensors` computes them for a coalition (n,) or, without what is always there, for the number of one unit (or of
    nobody). What each of the `units` adds is kept if `keep`, else computed whenever it is needed; others add nothing.
    """

    def __init__(self, tensors: Callable[[Tensor | int], Sequence[Tensor]], empty: Tensor, units: Tensor, keep: bool):
        bases = tensors(empty)
        self.tensors, self.units, self.players = tensors, units, len(empty)
        self.orders = [_memory_order(base) for base in bases]
        self.shapes = [base.permute(order).shape for base, order in zip(bases, self.orders, strict=True)]
        self.bases, self.nothing = self._flat(bases), self._flat(tensors(NOBODY))
        self.kept = self._all() if keep else None

    def walk(self, coalitions: Tensor, rows: int) -> Iterator[list[Tensor]]:
        """The tensors (k, N, …) for each `rows` of the coalitions (K, n)."""
        coalitions = coalitions[:, self.units]
        steps = plan(coalitions)
        anew = self._anew_is_faster(coalitions, steps)
        row = self.bases
        for start in range(0, len(coalitions), rows):
            stop = start + rows
            flat = self._anew(coalitions[start:stop]) if anew else self._additions(steps[start:stop], row)
            row = [tensor[-1] for tensor in flat]
            yield [self._view(*tensor) for tensor in zip(flat, self.orders, self.shapes, strict=True)]

    def _all(self) -> list[Tensor]:
        """What each unit adds to each tensor: (units, E)."""
        everything = [base.new_empty(len(self.units), len(base)) for base in self.bases]
        for i in range(len(self.units)):
            for tensor, one in zip(everything, self._adds(i), strict=True):
                tensor[i] = one
        return everything

    def _adds(self, i: int) -> list[Tensor]:
        """What the i-th unit adds to each tensor: (E,)."""
        alone = self._flat(self.tensors(int(self.units[i])))
        return [one - nothing for one, nothing in zip(alone, self.nothing, strict=True)]

    def _anew_is_faster(self, coalitions: Tensor, steps: Sequence[Step]) -> bool:
        """Whether to forget the neighbours: for a matrix product if additions are kept, else for the readers."""
        additions = sum(len(step.changes) for step in steps)
        if self.kept is None:
            return coalitions.numel() < SLICE * additions
        numbers = sum(len(base) for base in self.bases)
        return coalitions.numel() * numbers < additions * (ADDITION * numbers + LAUNCH)

    def _anew(self, coalitions: Tensor) -> list[Tensor]:
        if self.kept is None:
            rows = [self._flat(self.tensors(self._whole(coalition))) for coalition in coalitions]
            return [torch.stack(tensor) for tensor in zip(*rows, strict=True)]
        return [torch.addmm(base, coalitions, one) for base, one in zip(self.bases, self.kept, strict=True)]

    def _whole(self, coalition: Tensor) -> Tensor:
        """A coalition of the units as one of all players: the others do not matter here."""
        return coalition.new_zeros(self.players).index_put((self.units,), coalition)

    def _additions(self, steps: Sequence[Step], row: Sequence[Tensor]) -> list[Tensor]:
        """The tensors (k, E) after each step, starting from `row`."""
        flat = [base.new_empty(len(steps), len(base)) for base in self.bases]
        for step, *row_after in zip(steps, *flat, strict=True):
            self._add(self.bases if step.fresh else row, step.changes, row_after)
            row = row_after
        return flat

    def _add(self, row: Sequence[Tensor], changes: Sequence[tuple[int, float]], out: Sequence[Tensor]) -> None:
        if not changes:
            for before, after in zip(row, out, strict=True):
                after.copy_(before)
        for i, amount in changes:
            adds = self._adds(i) if self.kept is None else [one[i] for one in self.kept]
            for before, one, after in zip(row, adds, out, strict=True):
                torch.add(before, one, alpha=amount, out=after)
            row = out

    def _flat(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        return [tensor.permute(order).reshape(-1) for tensor, order in zip(tensors, self.orders, strict=True)]

    @staticmethod
    def _view(flat: Tensor, order: Sequence[int], shape: torch.Size) -> Tensor:
        """(k, E) as (k, N, …), in the memory format that the tensor had."""
        back = sorted(range(len(order)), key=order.__getitem__)
        return flat.unflatten(1, shape).permute(0, *(1 + dim for dim in back))


def plan(coalitions: Tensor) -> list[Step]:
    """The shortest way through coalitions (k, n), in their order: changes of the one before, or a fresh start."""
    before = torch.cat([torch.zeros_like(coalitions[:1]), coalitions[:-1]])
    fresh = coalitions.count_nonzero(dim=1) <= (coalitions - before).count_nonzero(dim=1)
    changes = coalitions - before * ~fresh[:, None]
    rows, units = changes.nonzero(as_tuple=True)
    every = zip(units.tolist(), changes[rows, units].tolist(), strict=True)
    counts = changes.count_nonzero(dim=1).tolist()
    steps = zip(fresh.tolist(), counts, strict=True)
    return [Step(start, [next(every) for _ in range(count)]) for start, count in steps]


def _memory_order(tensor: Tensor) -> tuple[int, ...]:
    """The dimensions from the slowest to the fastest in memory."""
    return tuple(sorted(range(tensor.dim()), key=tensor.stride, reverse=True))
