"""From values of each unit for each example to one score a unit.

The mean is Shapley's own, by linearity; a unit that helps some examples and harms others has a mean near zero, though.
"""

from torch import Tensor


def mean(values: Tensor) -> Tensor:
    """The mean over examples: (N, n) to (n,); the Shapley value of the mean worth."""
    return values.mean(dim=0)


def mean_abs(values: Tensor) -> Tensor:
    """The mean size of a unit's effect, whatever its sign: (N, n) to (n,)."""
    return values.abs().mean(dim=0)


def mean_plus_std(values: Tensor, k: float = 2.0) -> Tensor:
    """Mean + k standard deviations over examples: (N, n) to (n,) (Ancona et al. 2020; TorchPruner's k is 2)."""
    return values.mean(dim=0) + k * values.std(dim=0, correction=0)
