"""The CIFAR ResNets of He et al. 2016, section 4.2, with the names that their common checkpoints use."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def padding(inputs: int, outputs: int) -> nn.Conv2d:
    """The parameter-free shortcut (option A): every second pixel, the new channels zero, half on either side.

    It is written as a frozen 1×1 convolution, so that channels can leave on either side of it.
    """
    shortcut = nn.Conv2d(inputs, outputs, 1, stride=2, bias=False).requires_grad_(False)
    before = (outputs - inputs) // 2
    with torch.no_grad():
        shortcut.weight.zero_()
        shortcut.weight[before : before + inputs, :, 0, 0] = torch.eye(inputs)
    return shortcut


class Block(nn.Module):
    """Two 3×3 convolutions and a shortcut."""

    def __init__(self, inputs: int, outputs: int, stride: int):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.shortcut = nn.Identity() if stride == 1 else padding(inputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x))))) + self.shortcut(x))


class ResNet(nn.Module):
    """Three stages of `blocks` blocks, of 16, 32 and 64 channels."""

    def __init__(self, num_classes: int, blocks: int):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16)
        self.layer1, self.layer2, self.layer3 = (
            nn.Sequential(
                *(Block(inputs if i == 0 else outputs, outputs, stride if i == 0 else 1) for i in range(blocks))
            )
            for inputs, outputs, stride in ((16, 16, 1), (16, 32, 2), (32, 64, 2))
        )
        self.linear = nn.Linear(64, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.linear(F.adaptive_avg_pool2d(x, 1).flatten(1))


def cifar_resnet(num_classes: int, depth: int = 20) -> nn.Module:
    """ResNet-20, -32, -44, -56 or -110. Raises ValueError for a depth that is not 6 n + 2."""
    if depth < 8 or depth % 6 != 2:
        raise ValueError(f"depth={depth} is no CIFAR ResNet: choose 20, 32, 44, 56 or 110")
    return ResNet(num_classes, (depth - 2) // 6)
