"""Episodes side by side are gymnasium's own, and a network that plays is masked and pruned like any other."""

from functools import partial

import gymnasium
import pytest
import torch
from torch import nn

from benchmarks.cartpole import LONGEST, Transitions, cartpole, episodes
from benchmarks.models import mlp
from benchmarks.q_learning import QLearning, Rollout, episode_return, negative_td_error
from benchmarks.training import Recipe
from methods import aggregate, dependencies, surgery
from methods.game import Evidence
from methods.taylor import taylor
from tests.test_surgery import draw_kept, masks

DATA = cartpole(device="cpu", train=64, validation=8, test=8)


def policy(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    network = mlp(2, hidden=(16, 16)).eval()
    network(torch.zeros(2, 4))
    return network


def greedy(network: nn.Module):
    return lambda states: network(states).argmax(dim=1)


def upright(states: torch.Tensor) -> torch.Tensor:
    """Push to where the pole falls: a hand-written policy that lasts for hundreds of steps."""
    return (states[:, 2] + 0.5 * states[:, 3] + 0.05 * states[:, 0] + 0.1 * states[:, 1] > 0).long()


@pytest.mark.parametrize("act", [upright, greedy(policy())])
@torch.no_grad()
def test_returns_are_those_of_single_episodes(act):
    starts, _ = DATA.test.draw(8, 0)
    together = sum(going.float() for _, going in episodes(act, starts))
    for start, result in zip(starts, together, strict=True):
        environment = gymnasium.make("CartPole-v1")
        environment.reset(seed=0)
        environment.unwrapped.state = start.double().numpy()
        state, steps, over = start, 0, False
        while not over:
            state, _, fallen, cut, _ = environment.step(int(act(torch.as_tensor(state)[None])))
            steps, over = steps + 1, fallen or cut
        assert steps == result
    assert act is not upright or together.max() == LONGEST


@torch.no_grad()
def test_masked_is_removed_for_whole_episodes():
    network, starts = policy(), DATA.validation.draw(8, 0)[0]
    found = dependencies.find(network, starts)
    kept = draw_kept(found, 1, 0.5)
    small, _ = surgery.remove(network, found, kept)
    player = Rollout(network)
    with surgery.masked(player, found, masks(found, kept)):
        assert torch.equal(player(starts), Rollout(small)(starts))
    one = {name: mask.expand(len(starts), -1) for name, mask in masks(found, kept).items()}
    with surgery.masked(player, found, one):
        assert torch.equal(player(starts), Rollout(small)(starts))


def test_targets_are_bellmans():
    network = policy()
    seen = Transitions(
        torch.randn(5, 4), torch.tensor([0, 1, 1, 0, 1]), torch.ones(5), torch.randn(5, 4), torch.eye(5)[2]
    )
    with torch.no_grad():
        targets = QLearning(discount=0.9)._targets(network, seen)
        following, outputs = network(seen.following).max(dim=1).values, network(seen.states)
    assert targets[2] == pytest.approx(0.1)  # after a fall nothing follows
    assert torch.allclose(targets[:2], 0.1 + 0.9 * following[:2])
    worth = negative_td_error(outputs, torch.stack([seen.actions.float(), targets], dim=1))
    assert worth[3] == pytest.approx(float(-((outputs[3, 0] - targets[3]) ** 2)))


def test_evidence_is_of_the_networks_own_episodes_and_seeded():
    task, network = QLearning(), policy()
    asked, evidence = task.evidence(network, DATA.validation, 20, seed=3)
    assert asked is network and evidence.inputs.shape == (20, 4) and evidence.targets.shape == (20, 2)
    again = task.evidence(network, DATA.validation, 20, seed=3)[1]
    assert all(torch.equal(one, other) for one, other in zip(evidence, again, strict=True))
    with torch.no_grad():
        assert torch.equal(network(evidence.inputs).argmax(dim=1), evidence.targets[:, 0].long())


def test_whole_episodes_as_evidence_have_no_derivative():
    task, network = QLearning(play=True), policy()
    asked, evidence = task.evidence(network, DATA.validation, 4, seed=0)
    assert torch.equal(episode_return(asked(evidence.inputs), evidence.targets), asked(evidence.inputs))
    with pytest.raises(ValueError, match="taylor needs a worth with a derivative"):
        found = dependencies.find(network, evidence.inputs)
        taylor(asked, found, Evidence(*evidence), worth=episode_return, aggregate=aggregate.mean)


STARTS, RECIPE = cartpole(device="cpu", train=6400).train, Recipe(15, 64, 0.3, partial(torch.optim.Adam, lr=3e-3))


def test_training_is_seeded():
    one, other = policy(), policy()
    for network in (one, other):
        QLearning().train(network, STARTS, RECIPE, seed=0, stop=50)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


def test_training_learns():
    network = policy()
    before = QLearning().evaluate(network, DATA.test)
    QLearning().train(network, STARTS, RECIPE, seed=0)
    assert 0 < before["worst"] <= before["return"] <= 1
    assert QLearning().evaluate(network, DATA.test)["return"] > 2 * before["return"]


def test_nothing_is_learnt_in_no_steps():
    network, recipe = policy(), Recipe(1, 64, 0.3, partial(torch.optim.Adam, lr=1e-2))
    before = [parameter.clone() for parameter in network.parameters()]
    QLearning().train(network, DATA.train, recipe, seed=0, start=1, stop=1)
    assert all(torch.equal(a, b) for a, b in zip(before, network.parameters(), strict=True))
