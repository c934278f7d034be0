"""The loss around a network: slices along random directions, and the sharpest curvature."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from scipy.sparse.linalg import LinearOperator, eigsh
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.attention import SDPBackend, sdpa_kernel

from benchmarks.data import Data
from benchmarks.sampling import generator
from benchmarks.tasks import Supervised, Task
from methods.criterion import Impossible

Weights = Mapping[str, Tensor]


def landscape(
    networks: Mapping[str, nn.Module],
    task: Task,
    data: Data,
    seed: int,
    *,
    examples: int,
    radius: float,
    line: int,
    plane: int,
) -> dict[str, Any]:
    """For each network the loss on a line (line,) and on a plane (plane, plane) through its weights, from −radius to
    radius, and `top_eigenvalue`, the largest one of the loss's Hessian; the loss is that of a training sample.

    Directions are normal and filter-normalised (Li et al. 2018, section 4), so that networks of different size and
    scale compare; biases and normalisations stay. Raises ValueError for a task without a loss of examples.
    """
    require_loss(task)
    x, y = data.train.draw(examples, seed)
    steps = {size: np.linspace(-radius, radius, size) for size in (line, plane)}
    found: dict[str, Any] = {"radius": radius, "examples": len(y)}
    for name, network in networks.items():
        weights, loss = _loss(network.eval(), task, x, y)
        first, second = (_direction(weights, seed, which) for which in ("first", "second"))
        found[name] = {
            "line": [_at(loss, weights, (first, a)) for a in steps[line]],
            "plane": [[_at(loss, weights, (first, a), (second, b)) for a in steps[plane]] for b in steps[plane]],
            "top_eigenvalue": _top_eigenvalue(loss, weights, seed),
        }
    return found


def require_loss(task: Task) -> None:
    """Raise ValueError for a task that judges no single examples."""
    if not isinstance(task, Supervised):
        raise Impossible(
            f"analysis=landscape needs a loss of examples, which {type(task).__name__} has not: leave it out"
        )


def _loss(network: nn.Module, task: Task, x: Tensor, y: Tensor) -> tuple[Weights, Callable[[Weights], Tensor]]:
    """The weights of a network, and the mean loss as their function, in eval mode."""
    assert isinstance(task, Supervised)
    judge = task.judge

    def loss(weights: Weights) -> Tensor:
        return judge(functional_call(network, dict(weights), (x,)), y)["loss"].mean()

    return {name: p.detach() for name, p in network.named_parameters() if p.requires_grad}, loss


def _direction(weights: Weights, seed: int, which: str) -> Weights:
    """A normal direction in which every filter is as long as the network's own; biases and the like do not move."""
    numbers = generator("landscape", which, seed)
    drawn = {name: torch.randn(w.shape, generator=numbers).to(w) for name, w in weights.items() if w.dim() > 1}
    return {name: _as_long(direction, weights[name]) for name, direction in drawn.items()}


def _as_long(direction: Tensor, weight: Tensor) -> Tensor:
    norms = [t.flatten(1).norm(dim=1).reshape(-1, *[1] * (t.dim() - 1)) for t in (weight, direction)]
    return direction * norms[0] / norms[1].clamp_min(1e-12)


@torch.no_grad()
def _at(loss: Callable, weights: Weights, *moves: tuple[Weights, float]) -> float:
    """The loss where the weights have gone some way along some directions."""
    moved = dict(weights)
    for direction, far in moves:
        moved |= {name: moved[name] + far * step for name, step in direction.items()}
    return float(f"{loss(moved):.5g}")


def _top_eigenvalue(loss: Callable, weights: Weights, seed: int) -> float:
    """By Lanczos' iteration on products of the Hessian with vectors (Pearlmutter 1994)."""
    names, shapes = list(weights), [w.shape for w in weights.values()]
    leaves = [w.clone().requires_grad_() for w in weights.values()]
    with sdpa_kernel(SDPBackend.MATH):  # the other kernels of attention have no second derivative
        value = loss(dict(zip(names, leaves, strict=True)))
    gradients = torch.autograd.grad(value, leaves, create_graph=True)
    sizes = [shape.numel() for shape in shapes]

    def product(vector: np.ndarray) -> np.ndarray:
        parts = torch.from_numpy(vector).to(value).split(sizes)
        dot = sum((g * part.reshape(g.shape)).sum() for g, part in zip(gradients, parts, strict=True))
        found = torch.autograd.grad(dot, leaves, retain_graph=True)
        return torch.cat([part.flatten() for part in found]).double().cpu().numpy()

    hessian = LinearOperator((sum(sizes), sum(sizes)), matvec=product, dtype=np.float64)
    start = np.random.default_rng(seed).normal(size=sum(sizes))
    [top] = eigsh(hessian, k=1, which="LA", v0=start, tol=1e-3, return_eigenvectors=False)
    return float(f"{top:.5g}")
