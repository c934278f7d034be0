"""The small networks that torchvision lacks. Widths of the input are inferred from the data (lazy layers)."""

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models import VGG, DenseNet
from torchvision.models.vgg import cfgs, make_layers


def mlp(num_classes: int, hidden: Sequence[int] = (128, 64)) -> nn.Module:
    """A multilayer perceptron on the flattened image."""
    layers = [layer for width in hidden for layer in (nn.LazyLinear(width), nn.ReLU())]
    return nn.Sequential(nn.Flatten(), *layers, nn.LazyLinear(num_classes))


def convnet(num_classes: int, widths: Sequence[int] = (16, 32, 64)) -> nn.Module:
    """Three 3×3 convolutions with BatchNorm, the first two followed by pooling, and a linear layer on the mean."""
    blocks = [
        layer
        for width in widths
        for layer in (nn.LazyConv2d(width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU(), nn.MaxPool2d(2))
    ]
    return nn.Sequential(*blocks[:-1], nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.LazyLinear(num_classes))


def lenet5(num_classes: int) -> nn.Module:
    """LeNet-5 (LeCun et al. 1998) with ReLU and max pooling, as it is used today."""
    return nn.Sequential(
        nn.LazyConv2d(6, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.LazyLinear(120),
        nn.ReLU(),
        nn.Linear(120, 84),
        nn.ReLU(),
        nn.Linear(84, num_classes),
    )


class BasicBlock(nn.Module):
    """Two 3×3 convolutions and a shortcut, a 1×1 convolution where the shape changes (He et al. 2016, option B)."""

    def __init__(self, inputs: int, outputs: int, stride: int):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        projection = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))
        self.shortcut = nn.Identity() if inputs == outputs else projection

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x))))) + self.shortcut(x))


def resnet20(num_classes: int, width: int = 16) -> nn.Module:
    """The CIFAR ResNet of 20 layers (He et al. 2016, section 4.2): three stages of three blocks."""
    stem = [nn.LazyConv2d(width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
    stages = [
        nn.Sequential(*(BasicBlock(inputs if i == 0 else outputs, outputs, stride if i == 0 else 1) for i in range(3)))
        for inputs, outputs, stride in ((width, width, 1), (width, 2 * width, 2), (2 * width, 4 * width, 2))
    ]
    return nn.Sequential(*stem, *stages, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4 * width, num_classes))


def vgg(num_classes: int, depth: int = 11, width: float = 1.0) -> nn.Module:
    """VGG with BatchNorm for 32×32 images (Simonyan & Zisserman 2015; Li et al. 2017): torchvision's features, each
    layer `width` times as wide, whose last map is a pixel, and a linear layer. Raises ValueError for a depth that it
    has not."""
    letters = {11: "A", 13: "B", 16: "D", 19: "E"}
    if depth not in letters:
        raise ValueError(f"depth={depth} is no VGG: choose 11, 13, 16 or 19")
    layers = [v if v == "M" else round(width * v) for v in cfgs[letters[depth]]]
    features = VGG(make_layers(layers, batch_norm=True)).features  # which initialises them
    return nn.Sequential(features, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(layers[-2], num_classes))


def densenet40(num_classes: int, growth: int = 12) -> nn.Module:
    """DenseNet-BC of 40 layers for 32×32 images (Huang et al. 2017, section 3): torchvision's, with a small stem."""
    network = DenseNet(growth, (6, 6, 6), num_init_features=2 * growth, num_classes=num_classes)
    network.features.conv0 = nn.Conv2d(3, 2 * growth, 3, padding=1, bias=False)
    network.features.pool0 = nn.Identity()
    return network
