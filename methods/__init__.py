"""How to prune: a network goes in, a smaller network comes out."""

from collections.abc import Callable, Iterable
from functools import partial

import torch
from torch import Tensor, nn

from methods import pruning
from methods.aggregate import mean_abs
from methods.allocation import Budget, Comparable, uniform
from methods.attention import separate
from methods.criterion import Scores
from methods.game import Evidence, Worth
from methods.shapley import shapley as shapley_values  # by another name: the module's is taken
from methods.worth import negative_cross_entropy


def prune(
    model: nn.Module,
    loader: Iterable[tuple[Tensor, Tensor]],
    keep: float = 0.5,
    *,
    of: str = "macs",
    criterion: Callable[..., Scores] | None = None,
    worth: Worth = negative_cross_entropy,
    allocation: Comparable = uniform,
    multiple: int = 1,
    examples: int = 256,
    seed: int = 0,
) -> nn.Module:
    """A smaller copy of `model`, in eval mode, that keeps the fraction `keep` `of` its macs, parameters or units.

    loader: batches (inputs, targets), of which the first `examples` examples say what units are worth; it should be
    data that the network was not trained on. criterion: any of this package, `methods.magnitude.magnitude` for one, by
    `functools.partial` where it asks for more: `partial(methods.taylor.taylor, worth=…, aggregate=…)`; Shapley values
    of `worth` by default. Widths are rounded to a `multiple`. Fine-tune what comes back, as any network. torch's
    global generator is as it was.
    Raises ValueError for a budget that cannot be met, a network that cannot be followed or does not give one tensor
    with a row for each example, and a loader without examples.
    """
    evidence = _first(loader, examples, next(model.parameters()).device)
    ask = criterion or partial(shapley_values, worth=worth, aggregate=mean_abs)

    def score(asked: nn.Module, groups, step: int) -> Scores:
        return ask(asked, groups, evidence, seed)

    with torch.random.fork_rng():  # layers that stand in for others are initialised
        network = separate(model).eval()
        _require_rows(network, evidence.inputs[:2])
        plan = pruning.plan(network, evidence.inputs[:2], Budget(keep, of=of, multiple=multiple))
        return pruning.prune(network, plan, score, allocation).model


def _require_rows(network: nn.Module, inputs: Tensor) -> None:
    with torch.no_grad():
        outputs = network(inputs)
    if not isinstance(outputs, Tensor) or len(outputs) != len(inputs):
        raise ValueError(
            f"{type(network).__name__} must give a tensor with a row for each example: wrap it so that it does"
        )


def _first(loader: Iterable[tuple[Tensor, Tensor]], examples: int, device: torch.device) -> Evidence:
    """The first examples of a loader, as one batch."""
    if examples < 1:
        raise ValueError(f"examples={examples} say nothing: give at least one")
    batches: list[tuple[Tensor, Tensor]] = []
    for inputs, targets in loader:
        batches.append((inputs, targets))
        if sum(len(inputs) for inputs, _ in batches) >= examples:
            break
    if not batches:
        raise ValueError("the loader has no batches: give one that yields (inputs, targets)")
    inputs, targets = (torch.cat(parts)[:examples].to(device) for parts in zip(*batches, strict=True))
    return Evidence(inputs, targets)
