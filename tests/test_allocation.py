"""Budgets are met to within one unit, rankings nest, and ties and floors are what they say."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from methods import allocation
from methods.allocation import Budget, allocate
from methods.costs import Cost, unit_cost
from methods.groups import Group, Slice
from methods.magnitude import magnitude
from methods.random import random
from tests.networks import network

COMPARABLES = [allocation.uniform, allocation.rms, allocation.raw, allocation.mean, allocation.maximum]
budgets = st.builds(
    Budget, keep=st.floats(0.25, 1), of=st.sampled_from(["units", "parameters", "macs"]), floor=st.integers(1, 3)
)


def counts(kept, found):
    return np.array([len(kept[group.name]) for group in found])


@pytest.mark.parametrize("name", ["mlp", "lenet5", "resnet20", "mobilenet_v2"])
@pytest.mark.parametrize("comparable", COMPARABLES)
@given(budget=budgets, seed=st.integers(0, 999))
def test_the_budget_is_met_to_within_the_unit_that_went_last(name, comparable, budget, seed):
    model, x, found = network(name)
    cost = unit_cost(model, found, x, budget.of)
    kept = counts(allocate(random(model, found, seed=seed).by_group, found, cost, budget, comparable), found)
    limit = budget.keep * cost.dense
    assert cost(kept) <= limit * (1 + 1e-9)
    assert (kept >= np.minimum(budget.floor, cost.sizes)).all()
    one_more = [cost(kept + np.eye(len(kept))[i]) for i in range(len(kept)) if kept[i] < cost.sizes[i]]
    assert not one_more or max(one_more) > limit


@pytest.mark.parametrize("comparable", COMPARABLES)
@given(keeps=st.lists(st.floats(0.2, 1), min_size=2, max_size=2), seed=st.integers(0, 999))
def test_a_smaller_budget_keeps_a_subset(comparable, keeps, seed):
    model, x, found = network("resnet20")
    cost = unit_cost(model, found, x, "parameters")
    scores = random(model, found, seed=seed).by_group
    less, more = (allocate(scores, found, cost, Budget(keep), comparable) for keep in sorted(keeps))
    assert all(set(less[g.name].tolist()) <= set(more[g.name].tolist()) for g in found)


@given(keep=st.floats(0.2, 1))
def test_uniform_takes_the_same_fraction_of_every_group(keep):
    model, x, found = network("resnet20")
    kept = counts(
        allocate(magnitude(model, found).by_group, found, unit_cost(model, found, x, "macs"), Budget(keep, "macs")),
        found,
    )
    sizes = np.array([group.size for group in found])
    widest = (kept - 1) / sizes
    assert (widest.max() < (kept + 1) / sizes).all()  # one fraction explains all counts, to within a unit


def test_the_weakest_of_each_group_go_and_the_ids_are_sorted():
    model, x, found = network("mlp")
    scores = {group.name: torch.arange(group.size).flip(0).float() for group in found}
    kept = allocate(scores, found, unit_cost(model, found, x, "units"), Budget(0.5, "units"))
    assert all(torch.equal(kept[g.name], torch.arange(g.size // 2)) for g in found)


@pytest.mark.parametrize("comparable", COMPARABLES)
def test_ties_are_broken_the_same_way_each_time_and_do_not_change_how_many_go(comparable):
    model, x, found = network("convnet")
    cost = unit_cost(model, found, x, "units")
    scores = {group.name: torch.ones(group.size) for group in found}
    kept = [allocate(scores, found, cost, Budget(0.9, "units"), comparable) for _ in range(2)]
    assert all(torch.equal(kept[0][g.name], kept[1][g.name]) for g in found)
    assert counts(kept[0], found).sum() == int(0.9 * cost.dense)


@given(scale=st.floats(1e-6, 1e6))
def test_rms_and_mean_and_maximum_ignore_the_scale_of_a_group(scale):
    scores = torch.tensor([-1.0, 0.5, 2.0], dtype=torch.float64)
    for comparable in (allocation.rms, allocation.mean, allocation.maximum):
        assert torch.allclose(comparable(scores * scale, 3), comparable(scores, 3))


def test_an_infeasible_budget_names_the_smallest_feasible_one():
    model, x, found = network("mlp")
    cost = unit_cost(model, found, x, "parameters")
    with pytest.raises(
        ValueError, match=r"keep=0.001 of parameters is infeasible: .* smallest feasible is keep=0\.0\d+"
    ) as told:
        allocate(magnitude(model, found).by_group, found, cost, Budget(0.001))
    smallest = float(str(told.value).rsplit("=", 1)[1])
    assert counts(allocate(magnitude(model, found).by_group, found, cost, Budget(smallest)), found).sum() == len(found)
    with pytest.raises(ValueError, match="infeasible"):
        allocate(magnitude(model, found).by_group, found, cost, Budget(smallest - 1e-3))


@pytest.mark.parametrize("keep", [0, -0.1, 1.01, float("nan")])
def test_a_budget_is_a_fraction(keep):
    with pytest.raises(ValueError, match="is not a fraction"):
        Budget(keep)


def test_scores_that_are_not_finite_are_refused():
    model, x, found = network("mlp")
    scores = {group.name: torch.full((group.size,), torch.nan) for group in found}
    with pytest.raises(ValueError, match="not finite"):
        allocate(scores, found, unit_cost(model, found, x, "units"), Budget(0.5))


def test_ties_do_not_break_a_multiple():
    """The means of equal scores can differ in the last bit."""
    group = Group("0", 14, torch.arange(14), ())
    scores = {"0": torch.tensor([0.5] * 5 + [0.7] * 9)}
    for keep in (0.4, 0.6, 0.8):
        budget = Budget(keep, "units", multiple=3)
        kept = allocate(scores, [group], Cost(np.sum, np.array([14])), budget, allocation.rms)["0"]
        assert len(kept) % 3 == 0 and len(kept) <= keep * 14


@given(
    st.lists(st.integers(1, 40), min_size=1, max_size=5),
    st.integers(1, 9),
    st.integers(1, 4),
    st.floats(0.05, 1),
    st.integers(0, 99),
)
def test_with_a_multiple_every_width_is_one_or_whole(sizes, multiple, floor, keep, seed):
    groups = [Group(str(i), size, torch.arange(size), ()) for i, size in enumerate(sizes)]
    generator = torch.Generator().manual_seed(seed)
    scores = {g.name: torch.randn(g.size, generator=generator) for g in groups}
    cost, budget = Cost(np.sum, np.array(sizes)), Budget(keep, "units", floor, multiple)
    try:
        kept = allocate(scores, groups, cost, budget, allocation.raw)
    except ValueError as error:
        assert "is infeasible" in str(error) and cost(budget.least(groups)) > keep * cost.dense
        return
    widths = [len(kept[g.name]) for g in groups]
    assert all(w == g.size or w % multiple == 0 for w, g in zip(widths, groups, strict=True))
    assert all(w >= min(g.size, floor) for w, g in zip(widths, groups, strict=True))
    assert sum(widths) <= keep * sum(sizes) + 1e-9
    assert sum(widths) > keep * sum(sizes) - multiple - 1e-9 or keep == 1
    for group in groups:  # within a group the best stay
        stays = torch.isin(group.ids, kept[group.name])
        if stays.any() and not stays.all():
            assert scores[group.name][stays].min() >= scores[group.name][~stays].max()


@pytest.mark.parametrize(("width", "units"), [(1, 8), (4, 2), (6, 4), (8, 1), (32, 1), (5, 8)])
def test_a_multiple_is_of_channels(width, units):
    group = Group("head", 16, torch.arange(16), (Slice("head", "out", torch.arange(16 * width).reshape(16, width)),))
    assert Budget(0.5, multiple=8).blocks([group]).tolist() == [units]


def test_a_knapsack_prefers_what_costs_more():
    groups = [Group(name, 4, torch.arange(4), ()) for name in ("dear", "cheap")]
    scores = {"dear": torch.tensor([1.0, 2, 3, 4]), "cheap": torch.tensor([1.0, 2, 3, 4])}
    cost = Cost(lambda counts: float(counts @ np.array([10.0, 1.0])), np.array([4, 4]))
    kept = allocate(scores, groups, cost, Budget(0.5), allocation.knapsack)
    assert [len(kept[name]) for name in ("dear", "cheap")] == [1, 4]
