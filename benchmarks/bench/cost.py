"""What one evaluation of a coalition costs: the game, Captum's sampler on a hook, and the same on a cached prefix."""

import time
from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode
from torchvision.models import vgg11_bn

from benchmarks import models
from benchmarks.bench.peers import Peer, on_a_cached_prefix, on_a_hook, sample
from methods import dependencies
from methods.game import Evidence, Game
from methods.groups import Group
from methods.tracing import Traced, trace
from methods.worth import negative_cross_entropy

EXAMPLES, MERGED, LEAST_SECONDS = 256, 2, 0.2
SIDE = 1024  # of the matrices whose product shows what the machine can do
Cell = tuple[str, str, dict[str, Callable[[], float]], dict[str, Any]]


def networks() -> dict[str, tuple[nn.Module, tuple[int, int, int]]]:
    """Untrained networks, for weights do not change what an evaluation costs, and the images (C, H, W) they take."""
    vgg = vgg11_bn(num_classes=10)
    chain = nn.Sequential(vgg.features, nn.Flatten(), nn.Linear(512, 10))  # as is usual at 32×32
    return {
        "digits convnet": (models.convnet(10), (1, 8, 8)),
        "CIFAR convnet": (models.convnet(10, widths=(32, 64, 64)), (3, 32, 32)),
        "ResNet-20": (models.resnet20(10), (3, 32, 32)),
        "VGG-11-BN": (chain, (3, 32, 32)),
    }


def cells(name: str) -> Iterator[Cell]:
    """For each group of a network: timers (of an evaluation, three ways, and of a matrix product) and what is known."""
    torch.manual_seed(0)
    model, shape = networks()[name]
    evidence = Evidence(torch.randn(EXAMPLES, *shape), torch.arange(EXAMPLES) % 10)
    model.eval()(evidence.inputs[:2])
    traced = trace(model)
    for group in dependencies.find(model, evidence.inputs[:2]):
        yield name, group.name, *_cell(model, traced, group, evidence)


def _cell(
    model: nn.Module, traced: Traced, group: Group, evidence: Evidence
) -> tuple[dict[str, Callable[[], float]], dict[str, Any]]:
    players = len(group.ids)
    start = time.perf_counter()
    game = Game(traced, group, negative_cross_entropy, evidence)
    made = time.perf_counter() - start
    walk = nested(players, min(players, 32))
    peers = {
        "hook": on_a_hook(deepcopy(model), group, negative_cross_entropy, evidence),
        "prefix": on_a_cached_prefix(deepcopy(model), group, negative_cross_entropy, evidence),
    }
    square = torch.randn(SIDE, SIDE)
    timers = {
        "game": lambda: seconds(lambda: game(walk)) / len(walk),
        "product": lambda: seconds(lambda: square @ square),
    }
    for peer, value in peers.items():
        timers[peer] = lambda value=value: of_sampler(value, players)
    with FlopCounterMode(display=False) as counter:
        game(walk)
    return timers, {"players": players, "made": made, "flops": counter.get_total_flops() / len(walk)}


def of_sampler(value: Peer, players: int) -> float:
    """Seconds of one evaluation by Captum's sampler, from a permutation of players that are merged into a few."""
    return seconds(lambda: sample(value, players, merged=MERGED)) / (MERGED + 1)


def nested(players: int, rows: int) -> Tensor:
    """The first coalitions (rows, n) of a random permutation."""
    order = torch.randperm(players, generator=torch.Generator().manual_seed(0))
    return (torch.arange(players) < torch.arange(1, rows + 1)[:, None]).float()[:, order.argsort()]


def seconds(run: Callable[[], object]) -> float:
    """Of one run, on the average of as many as take a fifth of a second."""
    runs, start = 0, time.perf_counter()
    while not runs or time.perf_counter() - start < LEAST_SECONDS:
        run()
        runs += 1
    return (time.perf_counter() - start) / runs
