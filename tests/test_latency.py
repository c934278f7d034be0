"""Latency as a budget: monotone, equal to its table at the widths that were timed, and measured once."""

import json
from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from methods import latency
from methods.allocation import Budget, allocate, knapsack
from methods.costs import unit_cost
from methods.magnitude import magnitude
from tests.networks import network
from tests.sequences import sequence_network
from tests.test_pipeline import record_of


@pytest.fixture
def counted(monkeypatch):
    """Instead of a timer, the number of multiplications in thousands."""
    calls = []

    def milliseconds(layer, shape, out, into):
        narrow, x = latency._narrow(
            layer, shape, *(max(1, round(s * latency.channels(layer, i))) for i, s in enumerate((out, into)))
        )
        narrow(x)
        calls.append(layer)
        return sum(p.numel() for p in narrow.parameters()) / 1000

    monkeypatch.setattr(latency, "_milliseconds", milliseconds)
    return calls


@given(st.lists(st.floats(0.01, 1), min_size=4, max_size=4))
def test_the_grid_is_met_and_nothing_falls_with_width(values):
    grid = np.maximum.accumulate(np.maximum.accumulate(np.array(values).reshape(2, 2), axis=0), axis=1)
    fine = np.kron(grid, np.ones((3, 3)))[:5, :5]
    for (i, out), (j, into) in product(enumerate(latency.FRACTIONS), repeat=2):
        assert latency._at(fine, out, into) == pytest.approx(fine[i, j])
    points = [latency._at(fine, share, share) for share in np.linspace(0, 1, 30)]
    assert all(np.diff(points) >= -1e-12)


@pytest.mark.parametrize("name", ["lenet5", "mobilenet_v2", "vit", "lstm"])
def test_a_budget_of_latency_is_met(name, counted):
    model, x, found = (sequence_network if name in ("vit", "lstm") else network)(name)
    cost = unit_cost(model, found, x, "latency", table := {})
    kept = allocate(magnitude(model, found).by_group, found, cost, Budget(0.6, "latency"), knapsack)
    left = cost(np.array([len(kept[group.name]) for group in found])) / cost.dense
    assert 0.5 < left <= 0.6
    measured = len(counted)
    assert unit_cost(model, found, x, "latency", table).dense == cost.dense
    assert len(counted) == measured and table


@pytest.mark.parametrize("layer", [torch.nn.LSTM(6, 4, 2, batch_first=True, bidirectional=True), torch.nn.GRU(6, 4)])
def test_a_recurrent_layer_is_timed_as_what_it_is(layer):
    narrow, x = latency._narrow(layer, torch.Size([5, 3, 6]), 4, 6)
    assert str(narrow) == str(layer) and x.shape == (5, 3, 6)


def test_layers_alike_are_timed_once(counted):
    model, x, found = network("resnet20")
    unit_cost(model, found, x, "latency")
    kinds = {str(m) for m in model.modules() if isinstance(m, torch.nn.Conv2d | torch.nn.Linear)}
    assert len(kinds) * 25 <= len(counted) <= 25 * 12


def test_a_run_with_a_budget_of_latency(tmp_path, monkeypatch):
    monkeypatch.setattr(latency, "SECONDS", 0.0005)
    record = record_of(
        tmp_path, "method=magnitude", "model=mlp", "budget.of=latency", "allocation=knapsack", "keep=0.95"
    )
    assert record["budget"]["of"] == "latency" and record["budget"]["achieved"] <= 0.95
    (table,) = (tmp_path / "cache" / "latency").glob("*.json")
    assert all(t > 0 for grid in json.loads(table.read_text()).values() for row in grid for t in row)
