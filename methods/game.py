"""The game: units are players, and a coalition is worth what the network achieves with those units alone."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn

from methods.chunks import Chunks
from methods.criterion import Scores
from methods.estimators.estimate import Estimate, Play
from methods.forward import InParts, Plain
from methods.groups import Group, require_units
from methods.parts import Parts, cut
from methods.shards import team
from methods.tracing import Traced, trace, untraceable

Worth = Callable[[Tensor, Tensor], Tensor]
GIB = 2**30
TOLERANCE = 1e-4  # of the largest output: how far the network in parts may be from the whole


class Evidence(NamedTuple):
    """The examples on which worths are measured: inputs (N, …) and targets (N,)."""

    inputs: Tensor
    targets: Tensor


class Game:
    """v(S) for every example: coalitions (k, n) of zeros and ones to worths (k, N).

    The players are the units of `groups`, in their order; all other units stay. The network is evaluated in eval mode,
    on a copy. What no coalition changes is computed once, and so is what each unit adds to the layers that read it, as
    far as `memory` (bytes, beside network and evidence) allows. `evaluations` counts the coalitions evaluated so far.
    Raises ValueError when `memory` does not suffice for one example.
    """

    @torch.no_grad()
    def __init__(
        self,
        model: nn.Module | Traced,
        groups: Group | Sequence[Group],
        worth: Worth,
        evidence: Evidence,
        memory: float = 2 * GIB,
    ):
        self.traced = model if isinstance(model, Traced) else trace(model)
        self.groups = (groups,) if isinstance(groups, Group) else tuple(groups)
        require_units(self.groups)
        self.players = sum(len(group.ids) for group in self.groups)
        self.worth, self.evidence = worth, evidence
        self.empty = next(self.traced.model.parameters()).new_zeros(self.players)
        self.parts = self._parts()
        self.chunks = Chunks(self._forward, evidence.inputs, self.empty, memory)
        self.evaluations = 0

    @torch.no_grad()
    def __call__(self, coalitions: Tensor) -> Tensor:
        self.evaluations += len(coalitions)
        there = coalitions.to(self.empty)
        targets = self.chunks.split(self.evidence.targets)
        worths = [self._worths(there, *chunk) for chunk in zip(self.chunks, targets, strict=True)]
        return torch.cat(worths, dim=1).to(coalitions.device)

    def _worths(self, coalitions: Tensor, forward: Plain | InParts, targets: Tensor) -> Tensor:
        rows = max(1, self.chunks.rows // len(targets))
        return torch.cat([self._worth(outputs, targets) for outputs in forward(coalitions, rows)])

    def _worth(self, outputs: Tensor, targets: Tensor) -> Tensor:
        k, examples = outputs.shape[:2]
        repeated = targets.repeat(k, *[1] * (targets.dim() - 1))
        return self.worth(outputs.flatten(0, 1), repeated).reshape(k, examples)

    def _forward(self, inputs: Tensor, keep: bool) -> Plain | InParts:
        if self.parts is None:
            return Plain(self.traced.model, self.groups, inputs)
        return InParts(self.parts, self.empty, inputs, keep)

    def _parts(self) -> Parts | None:
        """The network in parts; None, with a warning, where it has no graph or its parts are not the whole."""
        if self.traced.graph is None:
            return None
        try:
            parts = cut(self.traced.graph, self.groups)
            self._compare(parts)
        except Exception as error:  # the network's own code again, on an example and a coalition
            untraceable(self.traced.model, error)
            return None
        return parts

    def _compare(self, parts: Parts) -> None:
        """Raises ValueError if the network in parts computes something else than the whole does."""
        some = self.evidence.inputs[:2]
        order = torch.rand(self.players, generator=torch.Generator().manual_seed(0)).to(self.empty)
        nested = torch.stack([(order < share).to(self.empty) for share in (0.3, 0.5, 0.6)])
        whole = torch.cat([*Plain(self.traced.model, self.groups, some)(nested, 3)])
        in_parts = torch.cat([*InParts(parts, self.empty, some, keep=False)(nested, 1)])
        if not torch.allclose(in_parts, whole, rtol=0, atol=TOLERANCE * float(whole.abs().max())):
            raise ValueError(f"its traced parts are off by {float((in_parts - whole).abs().max()):.2g}")


def play(
    model: nn.Module,
    groups: Sequence[Group],
    evidence: Evidence,
    worth: Worth,
    aggregate: Callable[[Tensor], Tensor],
    estimate: Callable[[Play, int], Estimate],
    memory: float = 2 * GIB,
    workers: int = 1,
) -> Scores:
    """The game of each group in turn: the values of its players for each example, aggregated to one score each.

    `estimate(game, players)` finds the values; `workers` processes play, each with `memory` bytes for its copy.
    """
    require_units(groups)
    traced = trace(model)
    scores, errors, evaluations = {}, {}, 0
    with team(workers) as shared:
        for group in groups:
            game = shared(partial(Game, traced, group, worth, evidence, memory))
            estimated = estimate(game, len(group.ids))
            scores[group.name] = estimated.scores(aggregate)
            errors[group.name] = estimated.standard_errors(aggregate)
            evaluations += game.evaluations
    return Scores(scores, errors, evaluations)
