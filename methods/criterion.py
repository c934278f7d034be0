"""What every criterion returns."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Scores:
    """One score a unit, larger = keep: (n,) by group, with what they cost.

    `evaluations` counts forward passes over the evidence; `seconds` is filled in by who measures them.
    """

    by_group: dict[str, Tensor]
    evaluations: int = 0
    seconds: float = 0.0
