"""The architectures that the laws are tested on, untrained but alive: calibrated, with outputs that vary."""

from collections.abc import Callable
from functools import lru_cache

import torch
from torch import Tensor, nn
from torchvision import models
from torchvision.models.vgg import make_layers

from benchmarks.models import convnet, lenet5, mlp, resnet20
from methods import dependencies
from methods.groups import NORMS, Group

SMALL = ("mlp", "lenet5", "convnet", "resnet20")
TORCHVISION = ("resnet18", "vgg11_bn", "densenet121", "mobilenet_v2", "efficientnet_b0")
ALL = SMALL + TORCHVISION


def narrow_vgg(num_classes: int) -> nn.Module:
    """torchvision's VGG-11 with BatchNorm at an eighth of its widths: the same layers, with 2 % of the weights."""
    model = models.vgg11_bn(num_classes=1, init_weights=False)
    model.features = make_layers([8, "M", 16, "M", 32, 32, "M", 64, 64, "M", 64, 64, "M"], batch_norm=True)
    for place, inputs, outputs in ((0, 64 * 49, 512), (3, 512, 512), (6, 512, num_classes)):
        model.classifier[place] = nn.Linear(inputs, outputs)
    return model


def short_densenet(num_classes: int) -> nn.Module:
    """torchvision's DenseNet-121 with a third of its layers and of its growth: the same kinds of concatenations."""
    return models.DenseNet(growth_rate=12, block_config=(3, 4, 6, 4), num_init_features=24, num_classes=num_classes)


BUILDERS: dict[str, Callable[..., nn.Module]] = {
    **{"mlp": mlp, "lenet5": lenet5, "convnet": convnet, "resnet20": resnet20},
    **{"vgg11_bn": narrow_vgg, "densenet121": short_densenet},  # whole: tests/test_models.py, slow
}


@lru_cache
def network(name: str) -> tuple[nn.Module, Tensor, tuple[Group, ...]]:
    """A network in eval mode, a batch of four images for it, and its groups."""
    torch.manual_seed(0)
    x = torch.randn(4, 3, 16, 16) if name in SMALL else torch.randn(4, 3, 32, 32)
    model = calibrated((BUILDERS.get(name) or getattr(models, name))(num_classes=10), x)
    return model, x, dependencies.find(model, x)


def calibrated(model: nn.Module, x: Tensor) -> nn.Module:
    """`model` in eval mode with BatchNorm statistics of data, else deep untrained networks put out zeros."""
    model.eval()(x)
    head = [m for m in model.modules() if isinstance(m, nn.Linear | nn.Conv2d)][-1]
    nn.init.normal_(head.weight, std=head.weight[0].numel() ** -0.5)
    norms = [m for m in model.modules() if isinstance(m, NORMS)]
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
