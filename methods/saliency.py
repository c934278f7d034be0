"""Saliencies of single weights; a unit's is the sum over the weights that write it.

They serve both granularities. Gradients are those of the mean worth: its sign is not that of a loss.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from methods.criterion import Scores
from methods.game import Evidence, Worth
from methods.groups import WRITERS, weight_of
from methods.sparsity import bake

Saliency = dict[str, Tensor]  # in the shape of each layer's weight, by the layer's name


def snip(
    model: nn.Module, groups: Sequence, evidence: Evidence, seed: int = 0, *, worth: Worth, batch: int = 256
) -> Scores:
    """|g ⊙ w|, with the gradient g of the mean worth (Lee et al. 2019, eq. 4; without its normalisation)."""
    model, layers = _plain(model)
    gradients = [torch.zeros_like(weight) for weight in layers.values()]
    for part, share in _parts(evidence, batch):
        _add(gradients, torch.autograd.grad(_mean_worth(model, part, worth), list(layers.values())), share)
    return _scores(
        groups, {n: (g * w).abs() for (n, w), g in zip(layers.items(), gradients, strict=True)}, evaluations=1
    )


def grasp(
    model: nn.Module, groups: Sequence, evidence: Evidence, seed: int = 0, *, worth: Worth, batch: int = 256
) -> Scores:
    """w ⊙ Hg: what a weight adds to the flow of gradient, ‖g‖² / 2 (Wang et al. 2020, eq. 8, whose S is its negative).

    Hg is that of the mean worth over each batch, averaged over batches; the sign of the worth cancels.
    """
    model, layers = _plain(model)
    weights = list(layers.values())
    products = [torch.zeros_like(weight) for weight in weights]
    for part, share in _parts(evidence, batch):
        gradients = torch.autograd.grad(_mean_worth(model, part, worth), weights, create_graph=True)
        flow = torch.stack([(gradient * gradient.detach()).sum() for gradient in gradients]).sum()
        _add(products, torch.autograd.grad(flow, weights), share)
    saliency = {name: hg * w for (name, w), hg in zip(layers.items(), products, strict=True)}
    return _scores(groups, saliency, evaluations=2)


def synflow(model: nn.Module, groups: Sequence, evidence: Evidence, seed: int = 0) -> Scores:
    """|∂R/∂w ⊙ w| / R, where R sums the outputs of the network of absolute values at ones (Tanaka et al. 2020).

    Data-free: of the evidence only the shape matters (tokens, which cannot be ones, are taken as they are). In double
    precision, since R grows with the product of the layers.
    """
    model, layers = _plain(model, torch.double)
    for name, layer in model.named_modules():
        if isinstance(layer, nn.ReLU6):
            model.set_submodule(name, nn.ReLU())  # clipping would stop the flow
    with torch.no_grad():
        for tensor in (*model.parameters(), *model.buffers()):
            tensor.abs_()
    example = evidence.inputs[:1]
    ones = torch.ones_like(example, dtype=torch.double) if example.is_floating_point() else example
    flow = model(ones).sum()
    gradients = torch.autograd.grad(flow, list(layers.values()))
    saliency = {name: (g * w).abs() / flow.detach() for (name, w), g in zip(layers.items(), gradients, strict=True)}
    return _scores(groups, saliency, evaluations=1)


def wanda(model: nn.Module, groups: Sequence, evidence: Evidence, seed: int = 0, *, batch: int = 256) -> Scores:
    """|w_ij| · ‖x_j‖: each weight times the norm of the input that it reads, over examples and positions (Sun et al.
    2024, eq. 1)."""
    model, layers = _plain(model)
    squares = {name: torch.zeros((), device=weight.device) for name, weight in layers.items()}

    def measure(name: str) -> Callable:
        def hook(layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            squares[name] = squares[name] + _square_sums(layer, inputs[0].detach())

        return hook

    for name in layers:
        model.get_submodule(name).register_forward_pre_hook(measure(name))
    with torch.no_grad():
        for part, _ in _parts(evidence, batch):
            model(part.inputs)
    saliency = {
        name: w.abs() * _by_weight(model.get_submodule(name), squares[name].sqrt()) for name, w in layers.items()
    }
    return _scores(groups, saliency, evaluations=1)


def _square_sums(layer: nn.Module, x: Tensor) -> Tensor:
    """Of each input channel, over everything else: (channels,)."""
    dim = x.dim() - 1 if isinstance(layer, nn.Linear) else 1
    return x.square().movedim(dim, -1).flatten(0, -2).sum(dim=0)


def _by_weight(layer: nn.Module, channels: Tensor) -> Tensor:
    """Values of the input channels, for each weight that reads one: they broadcast to the layer's weight."""
    weight, parts = weight_of(layer), getattr(layer, "groups", 1)
    of_group = channels.reshape(parts, -1).repeat_interleave(len(weight) // parts, dim=0)
    return of_group.reshape(len(weight), -1, *[1] * (weight.dim() - 2))


def _plain(model: nn.Module, dtype: torch.dtype = torch.float32) -> tuple[nn.Module, dict[str, Tensor]]:
    """A copy in eval mode whose weights are its parameters, masked ones too, and these weights by layer."""
    copy = bake(model).to(dtype).eval().requires_grad_(True)
    return copy, {name: weight_of(layer) for name, layer in copy.named_modules() if isinstance(layer, WRITERS)}


def _parts(evidence: Evidence, batch: int) -> list[tuple[Evidence, float]]:
    """The evidence in batches, and the share that each is of it."""
    pairs = zip(evidence.inputs.split(batch), evidence.targets.split(batch), strict=True)
    return [(Evidence(x, y), len(y) / len(evidence.targets)) for x, y in pairs]


def _mean_worth(model: nn.Module, evidence: Evidence, worth: Worth) -> Tensor:
    worths = worth(model(evidence.inputs), evidence.targets)
    if not worths.requires_grad:
        raise ValueError(
            "this method needs a worth with a derivative: choose worth=negative_cross_entropy or worth=margin"
        )
    return worths.mean()


def _add(sums: Sequence[Tensor], tensors: Sequence[Tensor], share: float) -> None:
    for total, tensor in zip(sums, tensors, strict=True):
        total += share * tensor.detach()


def _scores(groups: Sequence, saliency: Saliency, evaluations: int) -> Scores:
    sums = {group.name: group.rows(saliency).sum(dim=1) for group in groups}
    return Scores({name: values.detach().float().cpu() for name, values in sums.items()}, evaluations=evaluations)
