"""What every criterion returns, and what it raises where it has nothing to say."""

from dataclasses import dataclass, field

from torch import Tensor


@dataclass(frozen=True)
class Scores:
    """One score a unit, larger = keep: (n,) by group, with their standard errors, if they are estimates.

    `evaluations` counts forward passes over the evidence; `seconds` is filled in by who measures them.
    """

    by_group: dict[str, Tensor]
    errors: dict[str, Tensor] = field(default_factory=dict)
    evaluations: int = 0
    seconds: float = 0.0


class Impossible(ValueError):
    """Two choices that cannot be combined, whatever else is chosen: a sweep goes on without the pair."""
