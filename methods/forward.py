"""Outputs of the network for many coalitions: by plain forward passes, or by computing once what does not change."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from methods.groups import Group
from methods.parts import Parts, active
from methods.sums import Sums
from methods.surgery import masked


class Plain:
    """The whole network for every coalition and example, with masks at the readers."""

    def __init__(self, model: nn.Module, groups: Sequence[Group], inputs: Tensor):
        self.model, self.groups, self.inputs = model, groups, inputs
        self.kept_bytes = 0

    def __call__(self, coalitions: Tensor, rows: int) -> Iterator[Tensor]:
        """The outputs (k, N, …) for each `rows` of the coalitions (K, n)."""
        sizes = [len(group.ids) for group in self.groups]
        for block in coalitions.split(rows):
            by_group = block.repeat_interleave(len(self.inputs), dim=0).split(sizes, dim=1)
            masks = {group.name: mask for group, mask in zip(self.groups, by_group, strict=True)}
            with masked(self.model, self.groups, masks):
                outputs = self.model(self.inputs.repeat(len(block), *[1] * (self.inputs.dim() - 1)))
            yield outputs.unflatten(0, (len(block), -1))


class InParts:
    """The network in parts: what no coalition changes is computed now, and what units add too if `keep`."""

    def __init__(self, parts: Parts, empty: Tensor, inputs: Tensor, keep: bool):
        self.parts, self.known = parts, parts.before(inputs)
        self.sums = Sums(self._sums, empty, active(parts, len(empty)), keep)

    def __call__(self, coalitions: Tensor, rows: int) -> Iterator[Tensor]:
        """The outputs (k, N, …) for each `rows` of the coalitions (K, n)."""
        for block, sums in zip(coalitions.split(rows), self.sums.walk(coalitions, rows), strict=True):
            yield self._after(sums, block)

    @property
    def kept_bytes(self) -> int:
        """What the constants and the units' contributions take, if they are kept."""
        tensors = [value for value in self.known if isinstance(value, Tensor)]
        sums = sum(base.nbytes for base in self.sums.bases)
        return sum(tensor.nbytes for tensor in tensors) + sums * (1 + len(self.sums.units))

    def _sums(self, coalition: Tensor | int) -> Sequence[Tensor]:
        return self.parts.sums(*self.known, coalition)

    def _after(self, sums: Sequence[Tensor], coalitions: Tensor) -> Tensor:
        if self.parts.independent:
            outputs = self.parts.after(*self.known, *(s.flatten(0, 1) for s in sums), None)
            return outputs.unflatten(0, (len(coalitions), -1))
        varies = (*[None] * len(self.known), *[0] * (len(sums) + 1))
        return torch.vmap(self.parts.after, in_dims=varies)(*self.known, *sums, coalitions)
