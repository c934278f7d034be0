"""The game: units are players, and a coalition is worth what the network achieves with those units alone."""

from collections.abc import Callable, Sequence
from copy import deepcopy
from typing import NamedTuple

import torch
from torch import Tensor, nn

from methods.criterion import Scores
from methods.groups import Group
from methods.surgery import masked

Worth = Callable[[Tensor, Tensor], Tensor]


class Evidence(NamedTuple):
    """The examples on which worths are measured: inputs (N, …) and targets (N,)."""

    inputs: Tensor
    targets: Tensor


class Game:
    """v(S) for every example: coalitions (k, n) of zeros and ones to worths (k, N).

    The network is evaluated in eval mode, on a copy; all units outside the group stay. `batch` bounds the images in one
    forward pass. `evaluations` counts the coalitions evaluated so far.
    """

    def __init__(self, model: nn.Module, group: Group, worth: Worth, evidence: Evidence, batch: int = 256):
        self.model = deepcopy(model).eval()
        self.group, self.worth, self.evidence, self.batch = group, worth, evidence, batch
        self.evaluations = 0

    @torch.no_grad()
    def __call__(self, coalitions: Tensor) -> Tensor:
        self.evaluations += len(coalitions)
        examples = max(1, self.batch // len(coalitions))
        parts = [slice(start, start + examples) for start in range(0, len(self.evidence.targets), examples)]
        return torch.cat([self._worths(coalitions, part) for part in parts], dim=1)

    def _worths(self, coalitions: Tensor, part: slice) -> Tensor:
        inputs, targets = self.evidence.inputs[part], self.evidence.targets[part]
        k, examples = len(coalitions), len(targets)
        masks = coalitions.to(inputs.device).repeat_interleave(examples, dim=0)
        with masked(self.model, [self.group], {self.group.name: masks}):
            outputs = self.model(inputs.repeat(k, *[1] * (inputs.dim() - 1)))
        return self.worth(outputs, targets.repeat(k)).reshape(k, examples)


def play(
    model: nn.Module,
    groups: Sequence[Group],
    evidence: Evidence,
    worth: Worth,
    aggregate: Callable[[Tensor], Tensor],
    values: Callable[[Game], Tensor],
) -> Scores:
    """The game of each group in turn: `values` (N, n) of its players for each example, aggregated to one score each."""
    by_group, evaluations = {}, 0
    for group in groups:
        game = Game(model, group, worth, evidence)
        by_group[group.name] = aggregate(values(game)).cpu()
        evaluations += game.evaluations
    return Scores(by_group, evaluations)
