"""Heads, neurons of transformers and hidden units obey the laws that channels obey."""

from copy import deepcopy

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks import measuring
from methods import aggregate, costs, dependencies, surgery, worth
from methods.game import Evidence, Game
from methods.magnitude import magnitude
from methods.taylor import taylor
from tests.networks import difference
from tests.sequences import NAMES, sequence_network, targets_of
from tests.test_parts import coalitions_of, error
from tests.test_surgery import draw_kept, masks

GROUPS = {
    "vit": {"self_attention.q": 4, "mlp.0": 48},
    "encoder": {"self_attn.q": 4, "linear1": 24},
    "block": {"enter": 16, "attention.q": 4, "mlp.0": 24},
    "lstm": {"first": 12, "second": 10},
    "gru": {"first": 12, "second": 10},
    "handover": {"enter": 6, "first": 12},
}


@pytest.mark.parametrize("name", NAMES)
def test_heads_neurons_and_hidden_units_are_players(name):
    _, _, found = sequence_network(name)
    sizes = {group.name: group.size for group in found}
    for ending, size in GROUPS[name].items():
        assert {s for group, s in sizes.items() if group.endswith(ending)} == {size}
    assert len(found) == len(GROUPS[name]) * (2 if name in ("vit", "encoder") else 1)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=10)
@given(seed=st.integers(0, 10**6), share=st.floats(0.05, 0.95))
@torch.no_grad()
def test_masked_at_the_readers_is_removed(name, seed, share):
    model, x, found = sequence_network(name)
    kept = draw_kept(found, seed, share)
    small, left = surgery.remove(model, found, kept)
    with surgery.masked(model, found, masks(found, kept)):
        masked = model(x)
    assert difference(masked, small(x)) < 1e-4
    assert difference(masked, surgery.zeroed(model, found, kept)(x)) < 1e-4
    assert difference(model(x), sequence_network(name)[0](x)) == 0
    assert [[s.index.tolist() for s in g.slices] for g in dependencies.find(small, x)] == [
        [s.index.tolist() for s in g.slices] for g in left
    ]


@pytest.mark.parametrize("name", NAMES)
@torch.no_grad()
def test_the_law_could_fail(name):
    model, x, found = sequence_network(name)
    for group in found:
        with surgery.masked(model, found, {group.name: (group.ids % 2).float()}):
            masked = model(x)
        assert difference(masked, model(x)) > 1e-3


@pytest.mark.parametrize("name", NAMES)
@torch.no_grad()
def test_each_example_can_have_its_own_mask(name):
    model, x, found = sequence_network(name)
    x = x.repeat_interleave(2, dim=0)[:7]  # as many examples as steps, where dimensions could be confused
    drawn = {group.name: torch.rand(len(x), group.size).round() for group in found}
    with surgery.masked(model, found, drawn):
        together = model(x)
    for i, output in enumerate(together):
        with surgery.masked(model, found, {group: mask[i] for group, mask in drawn.items()}):
            assert difference(model(x)[i], output) < 1e-4


@pytest.mark.parametrize("name", NAMES)
@torch.no_grad()
def test_two_rounds_equal_one(name):
    model, x, found = sequence_network(name)
    first = draw_kept(found, 1, 0.6)
    once, left = surgery.remove(model, found, first)
    second = draw_kept(left, 2, 0.6)
    assert difference(surgery.remove(once, left, second)[0](x), surgery.remove(model, found, second)[0](x)) < 1e-6


@pytest.mark.parametrize("name", NAMES)
def test_saved_and_loaded(name, tmp_path):
    model, x, found = sequence_network(name)
    small, left = surgery.remove(model, found, draw_kept(found, 3, 0.4))
    surgery.save(tmp_path / "small", small, left)
    loaded, groups_loaded = surgery.load(tmp_path / "small", model, x)
    assert torch.equal(loaded(x), small(x))
    assert all(torch.equal(a.ids, b.ids) for a, b in zip(left, groups_loaded, strict=True))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.filterwarnings("ignore:every coalition of")
def test_the_game_is_that_of_plain_forward_passes(name):
    model, x, found = sequence_network(name)
    for group in found:
        game = Game(model, group, worth.margin, Evidence(x, targets_of(model, x)))
        inside = name in ("encoder", "lstm", "gru", "handover")  # of torch's own layers, where torch.fx does not look
        assert (game.parts is None) == inside
        assert error(game, coalitions_of(game.players)) < 1e-4


@pytest.mark.parametrize("name", NAMES)
def test_taylor_is_the_derivative_by_the_mask(name):
    model, x, found = sequence_network(name)
    model, x = deepcopy(model).double(), x.double() if x.is_floating_point() else x
    evidence, step = Evidence(x, targets_of(model, x)), 1e-4
    scores = taylor(model, found, evidence, worth=worth.negative_cross_entropy, aggregate=aggregate.mean).by_group
    for group in found:
        for unit in (0, group.size - 1):
            around = torch.ones(2, group.size, dtype=torch.double)
            around[0, unit] -= step
            around[1, unit] += step
            with torch.no_grad():
                values = []
                for mask in around:
                    with surgery.masked(model, found, {group.name: mask}):
                        values.append(worth.negative_cross_entropy(model(x), evidence.targets).mean())
            assert float(scores[group.name][unit]) == pytest.approx(float(values[1] - values[0]) / (2 * step), abs=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_costs_are_those_that_are_counted(name):
    model, x, found = sequence_network(name)
    small, left = surgery.remove(model, found, draw_kept(found, 5, 0.5))
    counts = np.array([len(group.ids) for group in left])
    parameters, macs = (costs.unit_cost(model, found, x, of) for of in ("parameters", "macs"))
    for network, of in ((model, parameters.sizes), (small, counts)):
        assert parameters(of) == pytest.approx(sum(p.numel() for p in network.parameters()))
        assert macs(of) == pytest.approx(measuring.macs(network, x))


@pytest.mark.parametrize("name", NAMES)
def test_every_unit_has_a_magnitude(name):
    model, _, found = sequence_network(name)
    scores = magnitude(model, found).by_group
    assert all(scores[group.name].shape == (group.size,) and scores[group.name].min() > 0 for group in found)
