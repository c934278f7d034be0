"""The network in parts is the whole network, for every model and every kind of coalition, in bounded memory."""

import subprocess
import sys
import warnings

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from methods import dependencies, worth
from methods.forward import InParts, Plain
from methods.game import Evidence, Game
from methods.parts import NOBODY, cut
from methods.sums import Sums, plan
from methods.tracing import trace
from tests.networks import ALL, SMALL, calibrated, network

TARGETS = torch.tensor([0, 3, 9, 3])


def coalitions_of(players: int, seed: int = 0) -> Tensor:
    """The prefixes of an order, random coalitions, and neighbours of one of them."""
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(players, generator=generator)
    prefixes = (torch.arange(players)[None] < torch.arange(0, players + 1, max(1, players // 6))[:, None]).float()
    some = torch.rand(3, players, generator=generator).round()
    flipped = (some[:1] - torch.eye(players)[order[:4]]).abs()
    return torch.cat([prefixes[:, order], some, flipped])


def played_plainly(game: Game, coalitions: Tensor) -> Tensor:
    """The same worths, by a masked forward pass for each coalition."""
    (outputs,) = Plain(game.traced.model, game.groups, game.evidence.inputs)(coalitions, len(coalitions))
    targets = torch.cat([game.evidence.targets] * len(outputs))
    return game.worth(outputs.flatten(0, 1), targets).reshape(len(outputs), -1)


def error(game: Game, coalitions: Tensor) -> float:
    plain = played_plainly(game, coalitions).detach()
    return float((game(coalitions) - plain).abs().max() / plain.abs().max())


@pytest.mark.parametrize("name", ALL)
def test_worths_are_those_of_plain_forward_passes(name):
    model, x, found = network(name)
    traced = trace(model)
    for group in found if name in SMALL else [*found[:: max(1, len(found) // 2)], found[-1]]:
        game = Game(traced, group, worth.margin, Evidence(x, TARGETS))
        assert game.parts is not None
        assert error(game, coalitions_of(group.size)[-8:]) < 1e-4


@pytest.mark.parametrize("name", ["convnet", "resnet20"])
def test_units_of_several_groups_are_players_of_one_game(name):
    model, x, found = network(name)
    game = Game(model, found, worth.margin, Evidence(x, TARGETS))
    assert game.players == sum(group.size for group in found)
    assert error(game, coalitions_of(game.players)) < 1e-4


@given(k=st.integers(1, 9), players=st.integers(1, 9), seed=st.integers(0, 99))
def test_steps_lead_to_every_coalition(k, players, seed):
    coalitions = torch.rand(k, players, generator=torch.Generator().manual_seed(seed)).round()
    row, none = torch.zeros(players), torch.zeros(players)
    for coalition, step in zip(coalitions, plan(coalitions), strict=True):
        row = (none if step.fresh else row).clone()
        for unit, amount in step.changes:
            row[unit] += amount
        assert torch.equal(row, coalition)
        assert len(step.changes) <= coalition.sum()


def test_neighbours_cost_one_addition():
    coalitions = torch.ones(20, 20).tril()
    assert [len(step.changes) for step in plan(torch.cat([coalitions, coalitions]))] == [1] * 40


@given(keep=st.booleans(), rows=st.integers(1, 7), seed=st.integers(0, 99), wide=st.booleans())
def test_sums_are_sums(keep, rows, seed, wide):
    torch.manual_seed(seed)
    base, adds = torch.randn(2, 3), torch.randn(6, 2, 3)
    if wide:  # other shapes and memory formats take the same way
        base, adds = torch.randn(2, 3, 40, 40), torch.randn(6, 2, 3, 40, 40)
        base = base.to(memory_format=torch.channels_last)

    def tensors(coalition: Tensor | int) -> list[Tensor]:
        if isinstance(coalition, int):
            return [base - 1 + (0 if coalition == NOBODY else adds[coalition])]
        return [base + torch.tensordot(coalition, adds, 1)]

    coalitions = coalitions_of(6, seed)
    walked = Sums(tensors, torch.zeros(6), torch.arange(6), keep).walk(coalitions, rows)
    got = torch.cat([tensor for (tensor,) in walked])
    assert torch.allclose(got, base + torch.tensordot(coalitions, adds, 1), atol=1e-4)


class Odd(nn.Module):
    """Everything that makes cutting hard: shapes in use, layers in place, products, constants that pass by."""

    def __init__(self, classes: int = 10):
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 6, 3, padding=1, stride=2)
        self.norm, self.relu = nn.BatchNorm2d(6), nn.ReLU(inplace=True)
        self.gate, self.head = nn.Conv2d(6, 6, 1), nn.Linear(6 * 64, classes)
        self.scale = nn.Parameter(torch.tensor(0.5))

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.relu(self.first(x))
        y = self.norm(self.second(hidden)) * self.scale + F.avg_pool2d(x, 2).mean(1, keepdim=True)
        y = F.relu(y, inplace=True) * torch.sigmoid(self.gate(y))
        return self.head(y.view(x.size(0), -1))


class Branching(Odd):
    """Its computation depends on its data."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x if x.sum() > 0 else x + 1)


class Aliasing(Odd):
    """A change in place, through a view, of what was read before: a graph in parts gets this wrong."""

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.first(x)
        y = self.norm(self.second(hidden))
        hidden.flatten(1).add_(1)
        return self.head((y + hidden.mean(1, keepdim=True)[..., ::2, ::2]).flatten(1))


def odd_game(kind: type[nn.Module]) -> Game:
    torch.manual_seed(0)
    x = torch.randn(4, 3, 16, 16)
    model = calibrated(kind(), x)
    return Game(model, dependencies.find(Odd().eval(), x)[0], worth.margin, Evidence(x, TARGETS))


def test_hard_networks_are_cut_right():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        game = odd_game(Odd)
    assert game.parts is not None
    assert error(game, coalitions_of(game.players)) < 1e-4


def test_a_network_that_cannot_be_traced_is_played_plainly_and_says_so():
    with pytest.warns(UserWarning, match="every coalition of Branching is a forward pass of its own: .*control flow"):
        game = odd_game(Branching)
    assert game.parts is None
    assert error(game, coalitions_of(game.players)) < 1e-6


def test_a_network_whose_parts_are_not_the_whole_is_played_plainly():
    with pytest.warns(UserWarning, match="forward pass of its own"):
        game = odd_game(Aliasing)
    assert error(game, coalitions_of(game.players)) < 1e-6


@pytest.mark.parametrize("name", ["lenet5", "resnet20"])
@settings(max_examples=15)
@given(mebibytes=st.floats(2, 40), repeats=st.integers(1, 5))
def test_how_much_memory_there_is_does_not_matter(name, mebibytes, repeats):
    model, x, found = network(name)
    evidence = Evidence(x.repeat(repeats, 1, 1, 1), TARGETS.repeat(repeats))
    game = Game(model, found[1], worth.margin, evidence, memory=mebibytes * 2**20)
    assert error(game, coalitions_of(game.players)) < 1e-4


def test_too_little_memory_is_said_before_work_is_done():
    model, x, found = network("resnet20")
    with pytest.raises(ValueError, match=r"memory=0 MiB is too little for one example: give \d+ MiB or more"):
        Game(model, found[0], worth.margin, Evidence(x, TARGETS), memory=1000)


PEAK = """
import resource, sys, torch
from benchmarks.models import convnet
from methods import dependencies, worth
from methods.game import Evidence, Game
torch.set_num_threads(1)
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
x, y = torch.randn(1024, 3, 32, 32), torch.arange(1024) % 10
model = convnet(10).eval()
model(x[:2])
group = dependencies.find(model, x[:2])[0]
Game(model, group, worth.margin, Evidence(x[:8], y[:8]))(torch.ones(16, 16).tril())
before = peak()
game = Game(model, group, worth.margin, Evidence(x, y), memory=float(sys.argv[1]) * 2**20)
game(torch.ones(16, 16).tril())
print(peak() - before)
"""


@pytest.mark.parametrize("mebibytes", [64, pytest.param(512, marks=pytest.mark.slow)])
def test_memory_stays_below_its_bound(mebibytes):
    """The contributions of all units would take 1024 · 16 · 32 · 256 · 4 bytes = 512 MiB."""
    run = subprocess.run([sys.executable, "-c", PEAK, str(mebibytes)], capture_output=True, text=True, check=True)
    assert float(run.stdout) < mebibytes


def test_what_follows_the_sums_is_independent_of_the_rest_unless_something_passes_by():
    model, x, found = network("resnet20")
    graph = trace(model).graph
    stream, inner = (cut(graph, [group]) for group in found[:2])
    assert not stream.independent  # the shortcut of the first block brings the stem's output
    assert inner.independent  # the shortcut is among the sums
    assert len(InParts(inner, torch.zeros(16), x, keep=True).sums.bases) == 1
