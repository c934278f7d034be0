"""Recovery by a teacher: the dense network shows the pruned one what to put out (Hinton et al. 2015)."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Imitation = Callable[[Tensor, Tensor, float], Tensor]  # outputs, a teacher's outputs, temperature: a scalar


@dataclass(frozen=True)
class Teacher:
    """A network that is imitated: its outputs count for `weight` of the loss, the targets for the rest.

    Raises ValueError for a weight that is no fraction or a temperature that is not positive.
    """

    network: nn.Module
    weight: float
    temperature: float

    def __post_init__(self) -> None:
        if not (0 < self.weight <= 1 and self.temperature > 0):
            raise ValueError(
                f"training.distillation has weight={self.weight} and temperature={self.temperature}: choose a weight "
                "between 0 (off) and 1 and a temperature above 0"
            )

    @torch.no_grad()
    def __call__(self, x: Tensor) -> Tensor:
        return self.network.eval()(x)


def softened(outputs: Tensor, taught: Tensor, temperature: float) -> Tensor:
    """T² · KL(teacher ‖ student) of the softmax of logits (B, …, classes) at temperature T, mean over B, …

    Hinton et al. 2015, section 2: T² keeps gradients as large as those of the targets.
    """
    student, teacher = ((logits / temperature).log_softmax(-1).flatten(0, -2) for logits in (outputs, taught))
    return temperature**2 * F.kl_div(student, teacher, reduction="batchmean", log_target=True)


def regression(outputs: Tensor, taught: Tensor, temperature: float) -> Tensor:
    """The mean squared error to the teacher's outputs (B, …) (Ba & Caruana 2014, section 2.2): no temperature."""
    return F.mse_loss(outputs, taught)
