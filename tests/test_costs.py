"""Analytic costs equal those of the network that surgery makes."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.measuring import macs
from methods import costs, surgery
from tests.networks import ALL, network
from tests.test_surgery import draw_kept


@pytest.mark.parametrize("name", ALL)
@settings(max_examples=3)
@given(seed=st.integers(0, 10**6))
def test_costs_equal_those_of_the_pruned_network(name, seed):
    model, x, found = network(name)
    small, left = surgery.remove(model, found, draw_kept(found, seed, 0.5))
    counts = np.array([len(group.ids) for group in left])
    parameters, units = (costs.unit_cost(model, found, x, of) for of in ("parameters", "units"))
    assert parameters(counts) == pytest.approx(sum(p.numel() for p in small.parameters()), rel=1e-12)
    assert parameters.dense == pytest.approx(sum(p.numel() for p in model.parameters()), rel=1e-12)
    assert units(counts) == counts.sum()
    multiplications = costs.unit_cost(model, found, x, "macs")
    assert multiplications(counts) == pytest.approx(macs(small, x), rel=1e-12)
    assert multiplications.dense == pytest.approx(macs(model, x), rel=1e-12)


def test_an_unknown_currency_is_refused():
    model, x, found = network("mlp")
    with pytest.raises(ValueError, match="budget=flops is unknown: choose units, parameters, macs or latency"):
        costs.unit_cost(model, found, x, "flops")


def test_counting_leaves_the_network_as_it_was():
    model, x, found = network("resnet20")
    model.train()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    costs.unit_cost(model, found, x, "macs")
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert all(module.training for module in model.modules())
    model.eval()


@pytest.mark.parametrize("name", ALL)
def test_groups_cover_nearly_all_parameters(name):
    """What no group covers is the last layer's bias: a share that falls means that a group was lost in silence."""
    model, x, found = network(name)
    assert costs.coverage(costs.unit_cost(model, found, x, "parameters")) > 0.995
