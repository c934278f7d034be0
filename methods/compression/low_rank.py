"""Low rank: layers as products of smaller ones."""

from copy import deepcopy

import numpy as np
import torch
from tensorly.decomposition import partial_tucker
from torch import Tensor, nn

from methods.groups import weight_of


def factorised(model: nn.Module, *, energy: float) -> nn.Module:
    """A copy of `model` with linear layers and convolutions as products of low rank, where that saves parameters.

    Ranks are the smallest that keep `energy` of the squared singular values. Linear layers and 1×1 convolutions become
    two (SVD, Denton et al. 2014, section 3.2), other convolutions three (Tucker-2, Kim et al. 2016, eq. 3); grouped
    ones stay. Raises ValueError for an energy that is no fraction.
    """
    if not 0 < energy < 1:
        raise ValueError(f"compression.low_rank.network.energy={energy} is no fraction: choose one between 0 and 1")
    copy = deepcopy(model)
    for name, layer in list(copy.named_modules()):
        if product := _product(layer, energy):
            copy.set_submodule(name, product.train(layer.training))
    return copy


def _product(layer: nn.Module, energy: float) -> nn.Sequential | None:
    """The layers that take the place of one, or None where they would be no smaller."""
    if isinstance(layer, nn.Linear):
        layers = _by_svd(layer, energy)
    elif isinstance(layer, nn.Conv2d) and layer.groups == 1:
        layers = _by_svd(layer, energy) if layer.kernel_size == (1, 1) else _by_tucker(layer, energy)
    else:
        return None
    return nn.Sequential(*layers) if sum(_weights(part) for part in layers) < _weights(layer) else None


def _weights(layer: nn.Module) -> int:
    return weight_of(layer).numel()


def _by_svd(layer: nn.Linear | nn.Conv2d, energy: float) -> list[nn.Module]:
    """W (out, in) ≈ (U √S) (√S Vᵀ)."""
    weight = weight_of(layer).detach().flatten(1)
    u, s, vt = torch.linalg.svd(weight, full_matrices=False)
    rank = _rank(s, energy)
    root = s[:rank].sqrt()
    first, second = root[:, None] * vt[:rank], u[:, :rank] * root
    if isinstance(layer, nn.Linear):
        return [_linear(first, None), _linear(second, layer.bias)]
    strided = {"stride": layer.stride, "padding": layer.padding}
    return [_conv(first[..., None, None], None, **strided), _conv(second[..., None, None], layer.bias)]


def _by_tucker(layer: nn.Conv2d, energy: float) -> list[nn.Module]:
    """W (out, in, h, w) ≈ core (r, s, h, w) ×₁ (out, r) ×₂ (in, s)."""
    weight = weight_of(layer).detach()
    ranks = [_rank(torch.linalg.svdvals(weight.transpose(0, mode).flatten(1)), energy) for mode in (0, 1)]
    (core, factors), _ = partial_tucker(weight.cpu().numpy(), rank=ranks, modes=[0, 1])
    core, outs, ins = (torch.from_numpy(np.ascontiguousarray(a)).to(weight) for a in (core, *factors))
    spatial = {"stride": layer.stride, "padding": layer.padding, "dilation": layer.dilation}
    return [
        _conv(ins.T[..., None, None], None),
        _conv(core, None, **spatial, padding_mode=layer.padding_mode),
        _conv(outs[..., None, None], layer.bias),
    ]


def _rank(singular: Tensor, energy: float) -> int:
    """How many singular values, the largest first, hold that share of their squares."""
    share = singular.square().cumsum(0) / singular.square().sum().clamp_min(torch.finfo(singular.dtype).tiny)
    return min(int((share < energy).sum()) + 1, len(singular))


def _linear(weight: Tensor, bias: Tensor | None) -> nn.Linear:
    outs, ins = weight.shape
    return _filled(nn.Linear(ins, outs, bias=bias is not None), weight, bias)


def _conv(weight: Tensor, bias: Tensor | None, **spatial) -> nn.Conv2d:
    outs, ins, height, width = weight.shape
    return _filled(nn.Conv2d(ins, outs, (height, width), bias=bias is not None, **spatial), weight, bias)


def _filled(layer, weight: Tensor, bias: Tensor | None):
    layer.weight = nn.Parameter(weight.contiguous())
    if bias is not None:
        layer.bias = nn.Parameter(bias.detach().clone())
    return layer
