"""The game: a worth for every example, of exactly the network with the coalition's units."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from methods import surgery, worth
from methods.game import Evidence, Game
from tests.networks import network

TARGETS = torch.tensor([0, 3, 9, 3])
WORTHS = [worth.accuracy, worth.negative_cross_entropy, worth.margin]


def game_of(name: str, characteristic=worth.margin) -> Game:
    model, x, found = network(name)
    return Game(model, found[len(found) // 2], characteristic, Evidence(x, TARGETS))


@pytest.mark.parametrize("name", ["mlp", "lenet5", "resnet20", "mobilenet_v2"])
@pytest.mark.parametrize("characteristic", WORTHS)
def test_a_coalition_is_worth_what_the_network_without_the_others_achieves(name, characteristic):
    game = game_of(name, characteristic)
    model, x, found = network(name)
    coalitions = (torch.rand(3, game.players, generator=torch.Generator().manual_seed(0)) < 0.6).float()
    for coalition, worths in zip(coalitions, game(coalitions), strict=True):
        small, _ = surgery.remove(model, found, {game.groups[0].name: game.groups[0].ids[coalition > 0]})
        assert torch.allclose(worths, characteristic(small(x).detach(), TARGETS), rtol=1e-3, atol=5e-4)  # of about 1
    assert game.evaluations == 3


def test_the_network_is_evaluated_in_eval_mode_and_left_alone():
    model, _, _ = network("convnet")
    before = {key: value.clone() for key, value in model.state_dict().items()}
    model.train()
    game = game_of("convnet")
    game(torch.ones(2, game.players))
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert model.training
    model.eval()


@given(seed=st.integers(0, 10**6))
def test_worths_are_what_they_say(seed):
    generator = torch.Generator().manual_seed(seed)
    outputs = torch.randn(20, 7, generator=generator)
    targets = torch.randint(7, (20,), generator=generator)
    right = outputs.argmax(dim=1) == targets
    assert torch.equal(worth.accuracy(outputs, targets), right.float())
    assert torch.equal(worth.margin(outputs, targets) > 0, right)
    log_probabilities = outputs.log_softmax(dim=1)[torch.arange(20), targets]
    assert torch.allclose(worth.negative_cross_entropy(outputs, targets), log_probabilities, atol=1e-6)
    assert torch.allclose(
        -worth.negative_cross_entropy(outputs, targets).mean(), F.cross_entropy(outputs, targets), atol=1e-6
    )
