"""How much is gone after each round of a pruning that goes on while the network recovers.

A schedule maps the number of recovery steps to removals [(step, share)]: before optimiser step `step`, `share` of all
that the budget takes is gone. The last share is 1, so that every schedule ends at the same size. Once it is reached,
weights that are left may be exchanged for others.
"""

from math import cos, pi
from typing import NamedTuple


class Exchange(NamedTuple):
    """Before optimiser step `step`, `fraction` of every layer's weights goes, and as many others grow."""

    step: int
    fraction: float


Removals = list[tuple[int, float]]  # or exchanges, after the last removal


def one_shot(steps: int) -> Removals:
    """Everything goes at once; all recovery follows."""
    return [(0, 1.0)]


def iterative(steps: int, *, rounds: int = 5, end: float = 0.5) -> Removals:
    """The same share goes in each of `rounds` rounds, spread evenly over the first `end` of the recovery.

    Han et al. 2015, for whom every round is followed by training. Raises ValueError for no rounds or an `end` of 1.
    """
    if rounds < 1 or not 0 <= end < 1:
        raise ValueError(f"rounds={rounds}, end={end} is no iterative schedule: choose rounds >= 1 and 0 <= end < 1")
    return [(round(i * end * steps / max(1, rounds - 1)), (i + 1) / rounds) for i in range(rounds)]


def gradual(steps: int, *, begin: float = 0.0, end: float = 0.5, frequency: int = 100) -> Removals:
    """Zhu & Gupta 2017, eq. 1: s_t = s_f (1 − (1 − (t − t0)/(n Δt))³) for t = t0, t0 + Δt, …, t0 + n Δt.

    t0 is `begin`·steps, Δt is `frequency` in steps, and n the number of intervals that end by `end`·steps.
    Raises ValueError when not even one interval fits.
    """
    if not 0 <= begin < end <= 1:
        raise ValueError(f"begin={begin} and end={end} are not fractions of the recovery: choose 0 <= begin < end <= 1")
    start = round(begin * steps)
    n = (round(end * steps) - start) // frequency if frequency > 0 else 0
    if n < 1:
        raise ValueError(
            f"a gradual schedule with frequency={frequency} has no removal in {round((end - begin) * steps)} of "
            f"{steps} recovery steps: lower schedule.frequency or lengthen training.recovery.epochs"
        )
    return [(start + i * frequency, 1 - (1 - i / n) ** 3) for i in range(1, n + 1)]


def rigl(steps: int, *, fraction: float = 0.3, end: float = 0.75, frequency: int = 100) -> Removals:
    """Everything goes at once; then α/2 (1 + cos(π t / T)) of the weights is exchanged at t = Δt, 2 Δt, … < T.

    Evci et al. 2020 (RigL), section 3, with their α = `fraction` and T = `end`·steps; Δt is `frequency` in steps. They
    start from random weights; here the start is what a criterion leaves of a dense network.
    Raises ValueError when not even one exchange fits.
    """
    if not (0 < fraction <= 1 and 0 < end <= 1):
        raise ValueError(f"fraction={fraction} and end={end} are not both fractions: choose 0 < fraction, end <= 1")
    last = round(end * steps)
    times = range(frequency, last, frequency) if frequency > 0 else ()
    if not times:
        raise ValueError(
            f"schedule=rigl with frequency={frequency} has no exchange before step {last} of {steps} recovery steps: "
            "choose schedule.frequency >= 1 below that or lengthen training.recovery.epochs"
        )
    return [(0, 1.0), *(Exchange(t, fraction / 2 * (1 + cos(pi * t / last))) for t in times)]
