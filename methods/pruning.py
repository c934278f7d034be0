"""The loop that every method shares: score, allocate, remove, recover, as often as the schedule says."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from torch import Tensor, nn

from methods.allocation import Budget, Comparable, allocate, require_feasible, uniform
from methods.costs import Cost
from methods.criterion import Impossible, Scores
from methods.granularity import Granularity, Unit, Weight
from methods.latency import Measured
from methods.regrowth import exchange
from methods.schedules import Exchange, Removals, one_shot

Score = Callable[[nn.Module, Sequence, int], Scores]
Recover = Callable[[nn.Module, int, int], None]


@dataclass(frozen=True)
class Round:
    """One removal or exchange: what was asked and achieved (fractions of the dense cost), scores and who stayed (ids).

    `before` and `after` are what `evaluate` said before and after the recovery that followed.
    """

    step: int
    asked: float
    achieved: float
    scores: Scores
    kept: dict[str, Tensor]
    before: float
    after: float


@dataclass(frozen=True)
class Pruned:
    """A smaller network, its groups (with the ids that are left) and how it came about."""

    model: nn.Module
    groups: Sequence
    rounds: list[Round]


@dataclass(frozen=True)
class Plan:
    """What can be known before any training: who the players are, what they cost, and when how much goes."""

    groups: Sequence
    cost: Cost
    budget: Budget
    granularity: Granularity
    removals: Removals
    steps: int


def plan(
    model: nn.Module,
    example: Tensor,
    budget: Budget,
    granularity: Granularity = Unit(),  # noqa: B008 (stateless)
    schedule: Callable[[int], Removals] = one_shot,
    steps: int = 0,
    table: Measured | None = None,
    layer: str | None = None,
) -> Plan:
    """The plan for a network of this architecture, trained or not; `example` is an input batch, `steps` the recovery's.

    `table` has the latencies that were measured for a budget of latency, and takes those that are. With `layer`, the
    name of a group, its units alone are players, and a budget of units is a fraction of them.

    Raises ValueError when the budget is infeasible, the network has nothing to prune, no such layer, or the schedule
    does not fit.
    """
    groups = _of_layer(granularity.find(model, example), layer)
    cost = granularity.cost(model, groups, example, budget.of, table)
    require_feasible(cost, budget, groups)
    removals = schedule(steps)
    if _exchanges(removals) and not isinstance(granularity, Weight):
        raise Impossible("units that are gone cannot grow back: choose granularity=weight or another schedule")
    return Plan(groups, cost, budget, granularity, removals, steps)


def _of_layer(groups: Sequence, layer: str | None) -> Sequence:
    found = [group for group in groups if layer in (None, group.name)]
    if not found:
        raise ValueError(f"layer={layer} has no units that can go: choose {', '.join(g.name for g in groups)}")
    return found


def _exchanges(removals: Removals) -> bool:
    return any(isinstance(removal, Exchange) for removal in removals)


def prune(
    model: nn.Module,
    plan: Plan,
    score: Score,
    comparable: Comparable = uniform,
    recover: Recover = lambda model, start, stop: None,
    evaluate: Callable[[nn.Module], float] = lambda model: float("nan"),
    grow: Score | None = None,
) -> Pruned:
    """A copy of `model` that meets the plan's budget; `model` itself is not changed.

    score(model, groups, step) ranks what is left; recover(model, start, stop) trains it in place for the steps in
    [start, stop); evaluate(model) watches (on validation data: what it says is not acted upon). In an exchange,
    grow(model, groups, step) ranks all weights, there or not. Raises ValueError when the plan has one without it.
    """
    if grow is None and _exchanges(plan.removals):
        raise ValueError("the plan exchanges weights: give prune a `grow`, such as one of methods.regrowth.growth")
    first, *later = [step for step, _ in plan.removals]
    model, groups = plan.granularity.remove(model, plan.groups, {g.name: g.ids for g in plan.groups})
    recover(model, 0, first)
    rounds = []
    for removal, stop in zip(plan.removals, [*later, plan.steps], strict=True):
        step, share = removal
        if grow and isinstance(removal, Exchange):
            goal, scores = plan.budget, grow(model, groups, step)
            kept = exchange(model, groups, removal.fraction, scores.by_group)
        else:
            goal = replace(plan.budget, keep=(1 - share) + share * plan.budget.keep)
            scores = score(model, groups, step)
            kept = allocate(scores.by_group, groups, plan.cost, goal, comparable)
        model, groups = plan.granularity.remove(model, groups, kept)
        achieved = plan.cost(np.array([len(group.ids) for group in groups])) / plan.cost.dense
        before = evaluate(model)
        recover(model, step, stop)
        rounds.append(Round(step, goal.keep, achieved, scores, kept, before, evaluate(model)))
    return Pruned(plan.granularity.finish(model), groups, rounds)
