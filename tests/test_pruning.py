"""The loop: every schedule ends at the same size, in either granularity, and the dense network is untouched."""

from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.measuring import size
from methods import allocation, schedules
from methods.allocation import Budget
from methods.granularity import Unit, Weight
from methods.magnitude import magnitude
from methods.pruning import plan, prune
from methods.random import random
from tests.networks import network

SCHEDULES = [schedules.one_shot, partial(schedules.iterative, rounds=3), partial(schedules.gradual, frequency=10)]


def score(model, groups, step):
    return random(model, groups, seed=step)


def shrink(
    name, budget, granularity=None, schedule=schedules.one_shot, comparable=allocation.uniform, recover=lambda *a: None
):
    model, x, _ = network(name)
    return prune(model, plan(model, x, budget, granularity or Unit(), schedule, steps=100), score, comparable, recover)


@pytest.mark.parametrize("name", ["mlp", "resnet20", pytest.param("mobilenet_v2", marks=pytest.mark.slow)])
@settings(max_examples=4)
@given(keep=st.floats(0.15, 1), of=st.sampled_from(["units", "parameters", "macs"]))
def test_every_schedule_lands_on_the_same_network_size(name, keep, of):
    sizes = {
        tuple(len(g.ids) for g in shrink(name, Budget(keep, of), schedule=schedule).groups) for schedule in SCHEDULES
    }
    assert len(sizes) == 1


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("comparable", [allocation.uniform, allocation.rms])
def test_rounds_nest_and_meet_what_they_were_asked(schedule, comparable):
    done = shrink("convnet", Budget(0.3), schedule=schedule, comparable=comparable)
    for earlier, later in zip(done.rounds, done.rounds[1:], strict=False):
        assert all(set(later.kept[name].tolist()) <= set(ids.tolist()) for name, ids in earlier.kept.items())
    for one in done.rounds:
        assert one.achieved <= one.asked * (1 + 1e-9)
        assert one.achieved > one.asked - 0.05
    assert done.rounds[-1].asked == 0.3
    _, x, _ = network("convnet")
    assert size(done.model, x)["parameters"] == round(
        done.rounds[-1].achieved * size(network("convnet")[0], x)["parameters"]
    )


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_recovery_runs_every_step_once(schedule):
    stretches = []
    shrink("mlp", Budget(0.5), schedule=schedule, recover=lambda model, start, stop: stretches.append((start, stop)))
    assert [step for start, stop in stretches for step in range(start, stop)] == list(range(100))


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_single_weights_keep_the_budget_and_the_shapes(schedule):
    model, x, _ = network("convnet")
    done = shrink("convnet", Budget(0.25), Weight(), schedule)
    dense, pruned = size(model, x), size(done.model, x)
    assert pruned["parameters"] == dense["parameters"] and pruned["macs"] == dense["macs"]
    assert pruned["nonzero_parameters"] == pytest.approx(0.25 * dense["parameters"], abs=1)


@pytest.mark.parametrize("granularity", [Unit(), Weight()])
def test_the_dense_network_is_untouched_even_by_recovery(granularity):
    model, x, _ = network("convnet")
    before = {key: value.clone() for key, value in model.state_dict().items()}

    def recover(model, start, stop):
        for parameter in model.parameters():
            torch.nn.init.zeros_(parameter)

    shrink("convnet", Budget(0.5), granularity, SCHEDULES[2], recover=recover)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def test_everything_may_stay():
    model, x, _ = network("resnet20")
    assert torch.equal(shrink("resnet20", Budget(1.0)).model(x), model(x))


def test_an_impossible_budget_stops_before_anything_is_scored():
    model, x, _ = network("mlp")
    with pytest.raises(ValueError, match="infeasible"):
        plan(model, x, Budget(1e-4))


def test_magnitude_removes_the_smallest():
    model, x, _ = network("mlp")
    done = prune(model, plan(model, x, Budget(0.5, "units")), lambda model, groups, step: magnitude(model, groups))
    norms = model.get_submodule("1").weight.norm(dim=1)
    assert torch.equal(done.groups[0].ids, norms.topk(64).indices.sort().values)


def test_of_one_layer_only_its_units_go():
    model, x, _ = network("convnet")
    names = [group.name for group in Unit().find(model, x)]
    chosen = plan(model, x, Budget(0.5, "units"), layer=names[1])
    kept = {g.name: len(g.ids) for g in Unit().find(prune(model, chosen, score).model, x)}
    whole = {g.name: len(g.ids) for g in Unit().find(model, x)}
    assert kept == {**whole, names[1]: whole[names[1]] // 2}
    with pytest.raises(ValueError, match=f"layer=stem has no units that can go: choose {names[0]}, "):
        plan(model, x, Budget(0.5, "units"), layer="stem")
