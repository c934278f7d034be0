"""What a coalition is worth: characteristic functions, one value an example, larger is better."""

import torch
from torch import Tensor
from torch.nn import functional as F


def accuracy(outputs: Tensor, targets: Tensor) -> Tensor:
    """1 where the largest of the outputs (B, classes) is the target (B,), else 0: (B,)."""
    return (outputs.argmax(dim=1) == targets).to(outputs.dtype)


def negative_cross_entropy(outputs: Tensor, targets: Tensor) -> Tensor:
    """The log-probability (B,), in nats, that the outputs (B, classes) give to the targets (B,)."""
    return -F.cross_entropy(outputs, targets, reduction="none")


def margin(outputs: Tensor, targets: Tensor) -> Tensor:
    """The target's output less the largest of the others: (B,), positive where the prediction is right."""
    target = outputs.gather(1, targets[:, None]).squeeze(1)
    others = outputs.scatter(1, targets[:, None], -torch.inf)
    return target - others.amax(dim=1)
