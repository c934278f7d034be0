"""The architectures that the laws are tested on, untrained but alive: calibrated, with outputs that vary."""

from functools import lru_cache

import torch
from torch import Tensor, nn
from torchvision import models

from benchmarks.models import convnet, lenet5, mlp, resnet20
from methods import groups
from methods.groups import Group

SMALL = ("mlp", "lenet5", "convnet", "resnet20")
TORCHVISION = ("resnet18", "vgg11_bn", "densenet121", "mobilenet_v2", "efficientnet_b0")
ALL = SMALL + TORCHVISION


@lru_cache(maxsize=2)
def network(name: str) -> tuple[nn.Module, Tensor, tuple[Group, ...]]:
    """A network in eval mode, a batch of four images for it, and its groups."""
    torch.manual_seed(0)
    x = torch.randn(4, 3, 16, 16) if name in SMALL else torch.randn(4, 3, 32, 32)
    build = {"mlp": mlp, "lenet5": lenet5, "convnet": convnet, "resnet20": resnet20}.get(name) or getattr(models, name)
    model = calibrated(build(num_classes=10), x)
    return model, x, groups.find(model, x)


def calibrated(model: nn.Module, x: Tensor) -> nn.Module:
    """`model` in eval mode with BatchNorm statistics of data, else deep untrained networks put out zeros."""
    model.eval()(x)
    head = [m for m in model.modules() if isinstance(m, nn.Linear | nn.Conv2d)][-1]
    nn.init.normal_(head.weight, std=head.weight[0].numel() ** -0.5)
    norms = [m for m in model.modules() if isinstance(m, groups.NORMS)]
    for norm in norms:
        norm.train().reset_running_stats()
        norm.momentum = None  # the plain average of all batches
        nn.init.normal_(norm.bias, std=0.2)
    with torch.no_grad():
        for _ in range(8):
            model(torch.randn(8, *x.shape[1:]))
    assert model.eval()(x).std(dim=0).mean() > 1e-3
    return model


def difference(a: Tensor, b: Tensor) -> float:
    """The largest difference between outputs, relative to how much the outputs vary."""
    return float((a - b).detach().abs().max() / a.detach().std())
