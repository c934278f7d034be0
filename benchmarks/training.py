"""Train for a fixed number of steps; any stretch of them can be run on its own."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import cos, pi
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR

from benchmarks.data import Part, steps, steps_per_epoch

Loss = Callable[[nn.Module, Tensor, Tensor], Tensor]  # of a network on a batch, inputs and targets: a scalar
Watch = Callable[[nn.Module, int], None]  # is shown the network after each step, and how many there were


@dataclass
class Recipe:
    """How to train: the learning rate rises for the fraction `warmup` of all steps, then falls to zero as a cosine."""

    epochs: int
    batch_size: int
    warmup: float
    optimizer: Any

    def steps(self, examples: int) -> int:
        """Optimiser steps in all epochs; the short last batch of an epoch is dropped."""
        return self.epochs * steps_per_epoch(examples, self.batch_size)


def train(
    model: nn.Module,
    part: Part,
    recipe: Recipe,
    loss: Loss,
    seed: int,
    start: int = 0,
    stop: int | None = None,
    watch: Watch = lambda model, step: None,
) -> None:
    """Run steps [start, stop) of the recipe on `model`, in place; stop = None runs to the end.

    Batches and learning rates depend on the step alone, so methods that stop at different steps see the same ones; the
    optimiser's state starts anew at `start`. Torch's global generator is left as it was. `watch` may look at the
    network, in evaluation mode if it puts that back.
    Raises FloatingPointError when the loss is no longer finite.
    """
    total = recipe.steps(len(part))
    stop = total if stop is None else stop
    if start >= stop:
        return
    optimizer = recipe.optimizer(model.parameters())
    scheduler = LambdaLR(optimizer, rate(recipe, total, start))
    batches = part.batches(steps(len(part), recipe.batch_size, seed, start, stop), seed, start=start)
    losses = []
    with _seeded(model, seed + start):
        model.train()
        for step, (x, y) in enumerate(batches, start + 1):
            losses.append(_step(model, x, y, loss, optimizer, scheduler))
            watch(model, step)
    model.eval()
    require_finite(losses, start, recipe)


def loss_at(model: nn.Module, part: Part, recipe: Recipe, loss: Loss, seed: int, step: int) -> Tensor:
    """The loss, a scalar with a gradient, of `model` in training mode on the batch that `step` of the recipe sees."""
    [(x, y)] = part.batches(steps(len(part), recipe.batch_size, seed, step, step + 1), seed, start=step)
    with _seeded(model, seed + step):
        return loss(model.train(), x, y)


@contextmanager
def _seeded(model: nn.Module, seed: int) -> Iterator[None]:
    """Seeds torch's global generators, and puts their states back."""
    devices = {p.device for p in model.parameters() if p.device.type == "cuda"}
    with torch.random.fork_rng(devices):
        torch.manual_seed(seed)
        yield


def rate(recipe: Recipe, total: int, start: int) -> Callable[[int], float]:
    """The learning rate's factor at each step after `start`."""
    warmup = round(recipe.warmup * total)

    def factor(after: int) -> float:
        step = start + after
        if step < warmup:
            return (step + 1) / warmup
        return 0.5 * (1 + cos(pi * (step - warmup) / max(1, total - warmup)))

    return factor


def _step(model: nn.Module, x: Tensor, y: Tensor, loss: Loss, optimizer, scheduler) -> Tensor:
    optimizer.zero_grad(set_to_none=True)
    value = loss(model, x, y)
    value.backward()
    optimizer.step()
    scheduler.step()
    return value.detach()


def require_finite(losses: list[Tensor], start: int, recipe: Recipe) -> None:
    """Raise FloatingPointError, naming the step, when a loss is no longer finite."""
    finite = torch.stack(losses).isfinite()
    if not finite.all():
        rate = recipe.optimizer.keywords.get("lr")
        step = start + int((~finite).nonzero()[0])
        raise FloatingPointError(
            f"training diverged at step {step} with learning rate {rate}: lower training.*.optimizer.lr"
        )
