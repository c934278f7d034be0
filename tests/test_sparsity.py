"""Single weights: zeros that hold, whatever the optimiser does."""

from copy import deepcopy

import pytest
import torch

from methods import sparsity
from methods.groups import WRITERS
from methods.magnitude import magnitude
from tests.networks import network


def half(found):
    return {group.name: group.ids[::2] for group in found}


def zeros(model):
    return {name: m.weight == 0 for name, m in model.named_modules() if isinstance(m, WRITERS)}


@pytest.mark.parametrize(
    "optimizer",
    [
        lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=1e-2, nesterov=True),
        lambda p: torch.optim.AdamW(p, lr=0.01),
    ],
)
def test_masks_hold_under_momentum_and_weight_decay(optimizer):
    model, x, _ = network("convnet")
    found = sparsity.find(model)
    masked, left = sparsity.mask(model, found, half(found))
    before, weight = zeros(masked), masked.get_submodule("0").weight.clone()
    step = optimizer(masked.parameters())
    for _ in range(3):
        step.zero_grad()
        masked(x).square().mean().backward()
        step.step()
    baked = sparsity.bake(masked)
    assert all(torch.equal(before[name], now) for name, now in zeros(baked).items())
    assert not torch.equal(weight, baked.get_submodule("0").weight)
    assert baked.state_dict().keys() == model.state_dict().keys()
    for group in left:
        assert int(baked.get_submodule(group.name).weight.count_nonzero()) == len(group.ids) == -(-group.size // 2)


def test_masks_of_a_second_round_replace_those_of_the_first_and_the_network_passed_in_is_untouched():
    model, x, _ = network("lenet5")
    original = deepcopy(model.state_dict())
    found = sparsity.find(model)
    once, left = sparsity.mask(model, found, half(found))
    twice, left = sparsity.mask(once, left, {group.name: group.ids[::2] for group in left})
    direct, _ = sparsity.mask(model, found, {group.name: group.ids for group in left})
    assert torch.equal(twice(x), direct(x))
    assert all(torch.equal(value, original[key]) for key, value in model.state_dict().items())


def test_the_scores_of_what_is_left_are_its_own_sizes():
    model, _, _ = network("mlp")
    found = sparsity.find(model)
    masked, left = sparsity.mask(model, found, half(found))
    scores = magnitude(masked, left).by_group
    for group in left:
        weights = model.get_submodule(group.name).weight.flatten()[group.ids]
        assert torch.allclose(scores[group.name], weights.abs())


def test_weights_have_no_budget_of_macs():
    model, _, _ = network("mlp")
    with pytest.raises(ValueError, match="budget=macs does not fit granularity=weight: choose budget=parameters"):
        sparsity.weight_cost(model, sparsity.find(model), "macs")
