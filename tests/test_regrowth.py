"""Weights that are exchanged: the smallest for those whose gradients are largest, as many as before."""

from copy import deepcopy
from functools import partial
from math import cos, pi

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from benchmarks.data import InMemory
from benchmarks.tasks import Supervised, classification, cross_entropy
from benchmarks.training import Recipe
from methods import sparsity
from methods.allocation import Budget
from methods.granularity import Weight
from methods.magnitude import magnitude
from methods.pruning import plan, prune
from methods.regrowth import exchange, growth
from methods.schedules import rigl
from methods.sparsity import Weights
from tests.networks import network
from tests.test_pipeline import record_of


def squares(x, model):
    return model(x).square().sum()


def half(found):
    return {group.name: group.ids[::2] for group in found}


@given(size=st.integers(1, 60), keep=st.floats(0.05, 1), fraction=st.floats(0, 1), seed=st.integers(0, 99))
def test_the_smallest_go_and_the_largest_gradients_grow(size, keep, fraction, seed):
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randperm(size, generator=generator)[: max(1, int(keep * size))].sort().values
    weights, gradients = torch.randn(size, generator=generator), torch.rand(size, generator=generator)
    model = nn.ModuleDict({"layer": nn.Linear(size, 1)})
    model["layer"].weight = nn.Parameter(weights[None])
    after = exchange(model, [Weights("layer", size, ids)], fraction, {"layer": gradients})["layer"]

    count, before = int(fraction * len(ids)), set(ids.tolist())
    stay = set(sorted(before, key=lambda i: abs(weights[i]))[count:])
    others = sorted(set(range(size)) - stay, key=lambda i: gradients[i])
    assert after.tolist() == sorted(stay | set(others[len(others) - count :]))
    assert len(after) == len(ids)


def test_gradients_are_those_of_weights_that_a_mask_hides_too():
    model, x, _ = network("lenet5")
    model, x = sparsity.bake(model).double(), x.double()
    found = sparsity.find(model)
    masked, left = sparsity.mask(model, found, half(found))
    gradients = growth(masked, left, partial(squares, x)).by_group
    step = 1e-6
    for group in found:
        for position in (0, 1):  # one that is there, one that is not
            plain = sparsity.bake(masked)
            weight = plain.get_submodule(group.name).weight.data.view(-1)
            values = []
            for change in (step, -2 * step):
                weight[position] += change
                values.append(float(squares(x, plain).detach()))
            slope = (values[0] - values[1]) / (2 * step)
            assert float(gradients[group.name][position]) == pytest.approx(abs(slope), rel=1e-4, abs=1e-6)


def test_the_network_that_is_asked_is_untouched():
    model, x, _ = network("convnet")
    masked, left = sparsity.mask(model, found := sparsity.find(model), half(found))
    before = {key: value.clone() for key, value in masked.state_dict().items()}
    growth(masked, left, lambda copy: squares(x, copy.train()))
    assert all(torch.equal(value, before[key]) for key, value in masked.state_dict().items())
    assert not masked.training and all(p.grad is None for p in masked.parameters())


@settings(max_examples=5)
@given(keep=st.floats(0.1, 0.9))
def test_rounds_keep_the_number_not_the_set_and_what_grows_starts_at_zero(keep):
    model, x, _ = network("lenet5")
    stretches, starts = [], []

    def recover(masked, start, stop):
        stretches.append((start, stop))
        starts.append(sparsity.bake(masked))
        for p in masked.parameters():
            p.data += 0.1 * torch.randn(p.shape, generator=torch.Generator().manual_seed(start))

    chosen = plan(model, x, Budget(keep), Weight(), partial(rigl, frequency=25), steps=100)
    done = prune(
        model,
        chosen,
        score=lambda model, groups, step: magnitude(model, groups),
        recover=recover,
        grow=lambda model, groups, step: growth(model, groups, partial(squares, x)),
    )
    assert stretches == [(0, 0), (0, 25), (25, 50), (50, 100)]
    assert len({one.achieved for one in done.rounds}) == 1 and done.rounds[0].achieved <= keep
    for one, following, start in zip(done.rounds, done.rounds[1:], starts[2:], strict=False):
        assert one.kept.keys() == following.kept.keys()
        for name, ids in following.kept.items():
            grown = sorted(set(ids.tolist()) - set(one.kept[name].tolist()))
            assert len(ids) == len(one.kept[name])
            assert start.get_submodule(name).weight.flatten()[grown].count_nonzero() == 0
        assert any(not torch.equal(ids, one.kept[name]) for name, ids in following.kept.items())


def test_a_plan_with_exchanges_needs_weights_and_something_to_grow_by():
    model, x, _ = network("mlp")
    with pytest.raises(ValueError, match="cannot grow back: choose granularity=weight"):
        plan(model, x, Budget(0.5), schedule=rigl, steps=200)
    chosen = plan(model, x, Budget(0.5), Weight(), rigl, steps=200)
    with pytest.raises(ValueError, match="give prune a `grow`"):
        prune(model, chosen, lambda model, groups, step: magnitude(model, groups))


def test_the_loss_at_a_step_is_the_one_that_training_descends():
    model, _, _ = network("convnet")
    generator = torch.Generator().manual_seed(0)
    images, labels = torch.randn(48, 3, 8, 8, generator=generator), torch.arange(48) % 10
    part = InMemory(images, labels, view=lambda x: x, augment=lambda x, g: x + torch.randn(x.shape, generator=g))
    recipe = Recipe(4, 16, 0.0, partial(torch.optim.SGD, lr=0.1))
    task = Supervised("accuracy", cross_entropy, classification)
    trained = deepcopy(model)
    task.train(trained, part, recipe, seed=3, start=5, stop=6)
    found = sparsity.find(model)
    gradients = growth(model, found, partial(task.loss_at, part=part, recipe=recipe, seed=3, step=5)).by_group
    rate = 0.1 * (1 + cos(pi * 5 / 12)) / 2
    for group in found:
        moved = (trained.get_submodule(group.name).weight - model.get_submodule(group.name).weight).detach()
        assert torch.allclose(moved.abs().flatten(), rate * gradients[group.name], atol=1e-6)


def test_the_pipeline_exchanges_by_gradients_of_the_training_loss(tmp_path, monkeypatch):
    asked = []

    def spy(task, model, part, recipe, seed, step):
        asked.append((step, len(part)))
        return loss_at(task, model, part, recipe, seed, step)

    loss_at, options = Supervised.loss_at, ["method=magnitude", "granularity=weight", "model=mlp", "keep=0.2"]
    monkeypatch.setattr(Supervised, "loss_at", spy)
    exchanged = record_of(tmp_path, *options, "schedule=rigl", "training.recovery.epochs=4")
    once = record_of(tmp_path, *options, "training.recovery.epochs=4")
    rounds = exchanged["rounds"]
    train = 128  # examples
    assert asked == [(one["step"], train) for one in rounds[1:]] and len(rounds) > 2
    assert all(one["kept"] == once["rounds"][0]["kept"] and one["evaluations"] == 1 for one in rounds[1:])
    assert exchanged["pruned"]["nonzero_parameters"] == once["pruned"]["nonzero_parameters"]
    assert exchanged["id"] != once["id"] and exchanged["pruned"]["loss"] != once["pruned"]["loss"]


@pytest.mark.parametrize("task", ["variational", "q_learning"])
def test_other_tasks_exchange_too(task, tmp_path):
    options = ["method=magnitude", "granularity=weight", "schedule=rigl", "training.recovery.epochs=3"]
    record = record_of(tmp_path, f"task={task}", "keep=0.3", *options)
    assert len(record["rounds"]) > 1
    assert record["pruned"]["nonzero_parameters"] <= 0.3 * record["dense"]["nonzero_parameters"]
