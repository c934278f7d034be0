"""What a network is for: how it is trained and how it is judged. Data and networks fit a task; methods know of none."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.data import Data, Part, in_order
from benchmarks.distillation import Imitation, Teacher
from benchmarks.training import Recipe, loss_at, train
from methods.criterion import Impossible
from methods.game import Evidence

Loss = Callable[[Any, Tensor], Tensor]  # of a batch: outputs and targets to a scalar
Judge = Callable[[Tensor, Tensor], dict[str, Tensor]]  # of a batch: outputs and targets to metrics (B,) by name


class Task(Protocol):
    """What differs between tasks; `metric` names what tables report, 1 at best.

    `data` gives a data set this task's targets; `evidence` is the network as criteria ask it, and the examples;
    `taught` is this task, trained by a teacher's outputs as well (ValueError where outputs cannot be imitated).
    """

    metric: str

    def data(self, data: Data) -> Data: ...
    def taught(self, teacher: Teacher) -> "Task": ...
    def evidence(self, model: nn.Module, part: Part, examples: int, seed: int) -> tuple[nn.Module, Evidence]: ...
    def train(self, model: nn.Module, part: Part, recipe: Recipe, seed: int, **stretch: Any) -> None: ...
    def loss_at(self, model: nn.Module, part: Part, recipe: Recipe, seed: int, step: int) -> Tensor: ...
    def evaluate(self, model: nn.Module, part: Part) -> dict[str, float]: ...


@dataclass(frozen=True)
class Supervised:
    """Targets are known: `loss` trains a batch, `judge` tells the metrics of each example.

    With `reconstruct`, targets are the inputs themselves. `imitate` compares outputs with a teacher's, if there is one.
    """

    metric: str
    loss: Loss
    judge: Judge
    reconstruct: bool = False
    imitate: Imitation | None = None
    teacher: Teacher | None = None

    def data(self, data: Data) -> Data:
        """The data with this task's targets."""
        return data.reconstructing() if self.reconstruct else data

    def taught(self, teacher: Teacher) -> "Supervised":
        """The same, whose training also follows `teacher`. Raises ValueError where outputs cannot be imitated."""
        if self.imitate is None:
            raise Impossible("the outputs of this task cannot be distilled: set training.distillation.weight=0")
        return replace(self, teacher=teacher)

    def evidence(self, model: nn.Module, part: Part, examples: int, seed: int) -> tuple[nn.Module, Evidence]:
        """The network itself, and a stratified sample of the part."""
        return model, Evidence(*part.draw(examples, seed))

    def train(self, model: nn.Module, part: Part, recipe: Recipe, seed: int, **stretch: Any) -> None:
        """See benchmarks.training.train; stretch: its `start`, `stop` and `watch`."""
        train(model, part, recipe, self.learn, seed, **stretch)

    def loss_at(self, model: nn.Module, part: Part, recipe: Recipe, seed: int, step: int) -> Tensor:
        """See benchmarks.training.loss_at."""
        return loss_at(model, part, recipe, self.learn, seed, step)

    def learn(self, model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        """The loss of a batch, a scalar; with a teacher, a weighted mean of that and of what sets the outputs apart."""
        outputs = model(x)
        loss = self.loss(outputs, y)
        if self.teacher is None or self.imitate is None:
            return loss
        apart = self.imitate(outputs, self.teacher(x), self.teacher.temperature)
        return (1 - self.teacher.weight) * loss + self.teacher.weight * apart

    @torch.no_grad()
    def evaluate(self, model: nn.Module, part: Part, batch_size: int = 512) -> dict[str, float]:
        """The mean of each metric over all examples of a part, however the last batch is filled."""
        model.eval()
        batches = part.batches(in_order(len(part), batch_size))
        judged = [self.judge(model(x), y) for x, y in batches]
        return {name: float(torch.cat([metrics[name] for metrics in judged]).double().mean()) for name in judged[0]}


def cross_entropy(outputs: Tensor, targets: Tensor, label_smoothing: float = 0.0) -> Tensor:
    """The mean cross-entropy in nats of outputs (B, …, classes) at targets (B, …)."""
    return F.cross_entropy(outputs.movedim(-1, 1), targets, label_smoothing=label_smoothing)


def classification(outputs: Tensor, targets: Tensor) -> dict[str, Tensor]:
    """Top-1 and top-5 accuracy and cross-entropy in nats, means over the targets (B, …) of each example."""
    top = outputs.topk(min(5, outputs.shape[-1]), dim=-1).indices == targets.unsqueeze(-1)
    metrics = {
        "accuracy": top[..., 0].float(),
        "top5": top.any(dim=-1).float(),
        "loss": F.cross_entropy(outputs.movedim(-1, 1), targets, reduction="none"),
    }
    return {name: values.reshape(len(targets), -1).mean(dim=1) for name, values in metrics.items()}


def squared_error(outputs: Tensor, targets: Tensor) -> Tensor:
    """The mean squared error of reconstructions (B, …)."""
    return F.mse_loss(outputs, targets)


def evidence_bound(outputs: tuple[Tensor, Tensor, Tensor], targets: Tensor, beta: float = 1.0) -> Tensor:
    """The negative evidence lower bound of a VAE, per number of the input (Kingma & Welling 2014, eq. 10).

    outputs: reconstruction (B, …), mean and log-variance (B, latent) of the code. The likelihood is a normal
    distribution of unit variance; `beta` weighs the divergence from the prior (Higgins et al. 2017).
    """
    reconstruction, mean, log_variance = outputs
    divergence = -0.5 * (1 + log_variance - mean.square() - log_variance.exp()).sum()
    return 0.5 * F.mse_loss(reconstruction, targets) + beta * divergence / targets.numel()


def reconstruction(outputs: Tensor, targets: Tensor) -> dict[str, Tensor]:
    """The share of the data's variance that is explained, 1 − error, and the squared error itself.

    Inputs are normalised, so that their variance over the data set is 1.
    """
    error = (outputs - targets).square().reshape(len(targets), -1).mean(dim=1)
    return {"explained_variance": 1 - error, "loss": error}
