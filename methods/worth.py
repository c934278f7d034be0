"""What a coalition is worth: characteristic functions, one value an example, larger is better.

An example with many targets, such as a text whose next characters are told, is worth their mean.
"""

import torch
from torch import Tensor
from torch.nn import functional as F


def accuracy(outputs: Tensor, targets: Tensor) -> Tensor:
    """1 where the largest of the outputs (B, …, classes) is the target (B, …), else 0: (B,)."""
    return _mean((outputs.argmax(dim=-1) == targets).to(outputs.dtype))


def negative_cross_entropy(outputs: Tensor, targets: Tensor) -> Tensor:
    """The log-probability (B,), in nats, that the outputs (B, …, classes) give to the targets (B, …)."""
    return _mean(-F.cross_entropy(outputs.movedim(-1, 1), targets, reduction="none"))


def margin(outputs: Tensor, targets: Tensor) -> Tensor:
    """The target's output less the largest of the others: (B,), positive where the prediction is right."""
    target = outputs.gather(-1, targets.unsqueeze(-1)).squeeze(-1)
    others = outputs.scatter(-1, targets.unsqueeze(-1), -torch.inf)
    return _mean(target - others.amax(dim=-1))


def negative_squared_error(outputs: Tensor, targets: Tensor) -> Tensor:
    """The mean squared error of the outputs (B, …) to targets of their shape, negative: (B,)."""
    return _mean(-(outputs - targets).square())


def _mean(values: Tensor) -> Tensor:
    """Of each example, over all of its targets: (B, …) to (B,)."""
    return values.reshape(len(values), -1).mean(dim=1)
