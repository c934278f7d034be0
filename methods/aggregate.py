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


def half_mean_square(values: Tensor) -> Tensor:
    """Half the mean square over examples: (N, n) to (n,).

    Of derivatives, that is the second-order Taylor term with the diagonal Fisher information for the Hessian (Theis et
    al. 2018; Liu et al. 2021, eq. 3).
    """
    return values.square().mean(dim=0) / 2
