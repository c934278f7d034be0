"""Saliencies of single weights; a unit's is the sum over the weights that write it, not those that carry it.

They serve both granularities. Gradients are those of the mean worth: its sign is not that of a loss.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from methods.criterion import Impossible, Scores
from methods.game import Evidence, Worth
from methods.groups import WRITERS, Group
from methods.groups import weights as written
from methods.recurrent import WEIGHTS, is_prunable
from methods.sparsity import bake

Saliency = dict[str, Tensor]  # in the shape of each weight, by its name


def snip(
    model: nn.Module, groups: Sequence, evidence: Evidence, seed: int = 0, *, worth: Worth, batch: int = 256
) -> Scores:
    """|g ⊙ w|, with the gradient g of the mean worth (Lee et al. 2019, eq. 6, without its normalisation)."""
    model, weights = _plain(model)
    gradients = [torch.zeros_like(weight) for weight in weights.values()]
    for part, share in _parts(evidence, batch):
        _add(gradients, _gradients(_mean_worth(model, part, worth), weights), share)
    saliency = {name: (g * w).abs() for (name, w), g in zip(weights.items(), gradients, strict=True)}
    return _scores(model, groups, saliency, evaluations=1)


def grasp(
    model: nn.Module, groups: Sequence, evidence: Evidence, seed: int = 0, *, worth: Worth, batch: int = 256
) -> Scores:
    """w ⊙ Hg: what a weight adds to the flow of gradient, ‖g‖² / 2 (Wang et al. 2020, eq. 8, whose S is its negative).

    Hg is that of the mean worth over each batch, averaged over batches; the sign of the worth cancels.
    """
    model, weights = _plain(model)
    _replace(model, nn.Hardsigmoid, _Hardsigmoid)
    products = [torch.zeros_like(weight) for weight in weights.values()]
    for part, share in _parts(evidence, batch):
        with sdpa_kernel(SDPBackend.MATH):  # the other kernels of attention have no second derivative
            gradients = _gradients(_mean_worth(model, part, worth), weights, create_graph=True)
        flow = torch.stack([(gradient * gradient.detach()).sum() for gradient in gradients]).sum()
        _add(products, _gradients(flow, weights), share)
    saliency = {name: hg * w for (name, w), hg in zip(weights.items(), products, strict=True)}
    return _scores(model, groups, saliency, evaluations=2)


def synflow(model: nn.Module, groups: Sequence, evidence: Evidence, seed: int = 0) -> Scores:
    """|∂R/∂w ⊙ w| / R, where R sums the outputs of the network of absolute values at ones.

    Tanaka et al. 2020, algorithm 1. Data-free: of the evidence only the shape matters (tokens, which cannot be ones,
    are taken as they are). In double precision, since R grows with the product of the layers.
    Raises ValueError for outputs without a derivative.
    """
    model, weights = _plain(model, torch.double)
    _replace(model, nn.ReLU6, nn.ReLU)  # clipping would stop the flow
    with torch.no_grad():
        for tensor in (*model.parameters(), *model.buffers()):
            if tensor.is_floating_point():
                tensor.abs_()
    example = evidence.inputs[:1]
    ones = torch.ones_like(example, dtype=torch.double) if example.is_floating_point() else example
    flow = model(ones).sum()
    if not flow.requires_grad:
        raise Impossible("synflow needs outputs with a derivative, and episodes have none: choose task=q_learning")
    gradients = _gradients(flow, weights)
    saliency = {name: (g * w).abs() / flow.detach() for (name, w), g in zip(weights.items(), gradients, strict=True)}
    return _scores(model, groups, saliency, evaluations=1)


def _replace(model: nn.Module, kind: type[nn.Module], other: Callable[[], nn.Module]) -> None:
    for name in [name for name, layer in model.named_modules() if isinstance(layer, kind)]:
        model.set_submodule(name, other())


class _Hardsigmoid(nn.Module):
    """That of torch, whose gradient has no derivative, as one that has."""

    def forward(self, x: Tensor) -> Tensor:
        return F.relu6(x + 3) / 6


def wanda(model: nn.Module, groups: Sequence, evidence: Evidence, seed: int = 0, *, batch: int = 256) -> Scores:
    """|w_ij| · ‖x_j‖: each weight times the norm of what it reads, over examples and positions.

    Sun et al. 2024, eq. 1. The paper ranks the weights of each output by themselves; here allocations rank a group's.
    """
    model, weights = _plain(model)
    squares: defaultdict[str, Tensor] = defaultdict(lambda: torch.zeros(()))

    def measure(name: str) -> Callable:
        def hook(layer: nn.Module, inputs: tuple[Tensor, ...], output) -> None:
            recurrent = is_prunable(layer)
            for kind, x in zip(_kinds(layer), (inputs[0], output[0]) if recurrent else inputs[:1], strict=True):
                squares[f"{name}.{kind}"] = squares[f"{name}.{kind}"] + _square_sums(layer, x)

        return hook

    for name in {name.rpartition(".")[0] for name in weights}:
        model.get_submodule(name).register_forward_hook(measure(name))
    with torch.no_grad():
        for part, _ in _parts(evidence, batch):
            model(part.inputs)
    layers = {name: model.get_submodule(name.rpartition(".")[0]) for name in weights}
    norms = {name: _by_weight(layers[name], w, squares[name].sqrt()) for name, w in weights.items()}
    return _scores(model, groups, {name: w.abs() * norms[name] for name, w in weights.items()}, evaluations=1)


def _square_sums(layer: nn.Module, x: Tensor) -> Tensor:
    """Of each input channel, over everything else: (channels,)."""
    dim = 1 if isinstance(layer, WRITERS) and not isinstance(layer, nn.Linear) else x.dim() - 1
    return x.square().movedim(dim, -1).flatten(0, -2).sum(dim=0)


def _by_weight(layer: nn.Module, weight: Tensor, channels: Tensor) -> Tensor:
    """Values of the input channels, for each weight that reads one: they broadcast to the layer's weight."""
    parts = getattr(layer, "groups", 1)
    of_group = channels.reshape(parts, -1).repeat_interleave(len(weight) // parts, dim=0)
    return of_group.reshape(len(weight), -1, *[1] * (weight.dim() - 2))


def _plain(model: nn.Module, dtype: torch.dtype = torch.float32) -> tuple[nn.Module, dict[str, Tensor]]:
    """A copy in eval mode whose weights are its parameters, masked ones too, and these weights by name."""
    copy = bake(model).to(dtype).eval().requires_grad_(True)
    layers = [(name, layer) for name, layer in copy.named_modules() if isinstance(layer, WRITERS) or is_prunable(layer)]
    return copy, {f"{name}.{kind}": getattr(layer, kind) for name, layer in layers for kind in _kinds(layer)}


def _kinds(layer: nn.Module) -> tuple[str, ...]:
    return ("weight",) if isinstance(layer, WRITERS) else tuple(WEIGHTS.values())


def _parts(evidence: Evidence, batch: int) -> list[tuple[Evidence, float]]:
    """The evidence in batches, and the share that each is of it."""
    pairs = zip(evidence.inputs.split(batch), evidence.targets.split(batch), strict=True)
    return [(Evidence(x, y), len(y) / len(evidence.targets)) for x, y in pairs]


def _mean_worth(model: nn.Module, evidence: Evidence, worth: Worth) -> Tensor:
    worths = worth(model(evidence.inputs), evidence.targets)
    if not worths.requires_grad:
        raise Impossible(
            "this method needs a worth with a derivative: choose worth=negative_cross_entropy or worth=margin"
        )
    return worths.mean()


def _gradients(value: Tensor, weights: Saliency, create_graph: bool = False) -> tuple[Tensor, ...]:
    """Of weights that do not take part, as those of heads for training only, zeros."""
    return torch.autograd.grad(value, list(weights.values()), create_graph=create_graph, materialize_grads=True)


def _add(sums: Sequence[Tensor], tensors: Sequence[Tensor], share: float) -> None:
    for total, tensor in zip(sums, tensors, strict=True):
        total += share * tensor.detach()


def _scores(model: nn.Module, groups: Sequence, saliency: Saliency, evaluations: int) -> Scores:
    writers = {name: saliency[name] for name in written(model)}
    sums = {g.name: g.rows(writers if isinstance(g, Group) else saliency).sum(dim=1) for g in groups}
    return Scores({name: values.detach().float().cpu() for name, values in sums.items()}, evaluations=evaluations)
