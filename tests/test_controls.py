"""Controls keep the widths of the criterion that they control, and nothing else of it."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.models import mlp
from methods import allocation
from methods.allocation import Budget, allocate
from methods.controls import inverted, shuffled
from methods.costs import unit_cost
from methods.criterion import Scores
from methods.magnitude import magnitude
from tests.networks import network
from tests.test_pipeline import check, record_of


@pytest.mark.parametrize("control", [shuffled, inverted])
@pytest.mark.parametrize("name", ["uniform", "raw", "rms", "mean", "maximum", "knapsack"])
@settings(max_examples=20)
@given(seed=st.integers(0, 999), keep=st.floats(0.1, 0.9), multiple=st.sampled_from([1, 3]))
def test_the_widths_are_the_criterions(control, name, seed, keep, multiple):
    model, x, found = network("lenet5")

    def criterion(model, groups, evidence, seed):
        generator = torch.Generator().manual_seed(seed)
        return Scores({g.name: torch.randn(g.size, generator=generator) * (i + 1) for i, g in enumerate(groups)})

    cost, comparable = unit_cost(model, found, x, "parameters"), getattr(allocation, name)
    own, others = criterion(model, found, None, seed), control(model, found, None, seed, criterion=criterion)
    budget = Budget(keep, multiple=multiple)
    kept, kept_by_control = (allocate(s.by_group, found, cost, budget, comparable) for s in (own, others))
    assert {g: len(ids) for g, ids in kept.items()} == {g: len(ids) for g, ids in kept_by_control.items()}
    for group in found:
        assert torch.equal(own.by_group[group.name].sort().values, others.by_group[group.name].sort().values)


def test_the_opposite_of_the_opposite_is_the_criterion():
    model, _, found = network("lenet5")
    own, opposite = magnitude(model, found), inverted(model, found, None, criterion=magnitude)
    again = inverted(model, found, None, criterion=lambda *_: opposite)
    for group in found:
        best, worst = own.by_group[group.name], opposite.by_group[group.name]
        assert int(best.argmax()) == int(worst.argmin())
        assert torch.equal(again.by_group[group.name], best)


@pytest.mark.parametrize("method", ["shuffled", "inverted", "from_scratch", "narrow"])
def test_controls_run_like_any_method(method, tmp_path):
    check(record_of(tmp_path, f"method={method}", "model=mlp"))


def test_a_restart_forgets_the_weights_but_not_the_widths(tmp_path):
    """The same architecture as the criterion's; its training is what a dense network gets, and recovery."""
    own = record_of(tmp_path, "method=shapley", "model=mlp", "training.recovery.epochs=0")
    untrained = record_of(
        tmp_path, "method=from_scratch", "model=mlp", "training.recovery.epochs=0", "training.dense.epochs=0"
    )
    again = record_of(tmp_path, "method=from_scratch", "model=mlp", "training.recovery.epochs=0")
    assert own["rounds"][0]["kept"] == again["rounds"][0]["kept"] and own["id"] != again["id"]
    assert again["rounds"][0]["before"] == own["rounds"][0]["before"]
    assert again["pruned"]["loss"] != own["pruned"]["loss"] and again["pruned"]["loss"] < untrained["pruned"]["loss"]


def pretrained(hidden, num_classes=10, weights=None):
    """A network whose pretrained weights are zeros."""
    network = mlp(num_classes, hidden)
    if weights:
        network(torch.zeros(2, 1, 8, 8))  # its lazy layer takes shape
        for parameter in network.parameters():
            torch.nn.init.zeros_(parameter)
    return network


@pytest.mark.parametrize("method", ["magnitude", "from_scratch"])
def test_a_restart_forgets_pretrained_weights_too(method, tmp_path):
    network = ["model.network._target_=tests.test_controls.pretrained", "+model.network.weights=DEFAULT"]
    untrained = ["training.dense.epochs=0", "training.recovery.epochs=0"]
    record = record_of(tmp_path, f"method={method}", "model=mlp", *network, *untrained)
    outputs_are_zero = record["pruned"]["loss"] == pytest.approx(math.log(10))
    assert outputs_are_zero == (method == "magnitude")
