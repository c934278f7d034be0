"""How much is gone after each round of a pruning that goes on while the network recovers.

A schedule maps the number of recovery steps to removals [(step, share)]: before optimiser step `step`, `share` of all
that the budget takes is gone. The last share is 1, so that every schedule ends at the same size.
"""

Removals = list[tuple[int, float]]


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
