"""Criteria that users compare with do what their papers say, for units and, where they can, for single weights."""

from collections.abc import Iterator
from copy import deepcopy
from functools import partial
from itertools import product

import pytest
import torch
from captum.attr import LayerConductance, LayerDeepLift, LayerIntegratedGradients
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from methods import activation, aggregate, dependencies, elimination, layers, magnitude, saliency, sparsity, worth
from methods.attribution import attribution
from methods.game import Evidence, Game
from methods.layers import group_shapley
from methods.taylor import taylor
from tests.networks import difference, network
from tests.test_game import TARGETS

ATTRIBUTIONS = (LayerConductance, LayerDeepLift, LayerIntegratedGradients)
WITH_WORTH = dict(worth=worth.margin)
OF_WEIGHTS = [
    magnitude.lamp,
    partial(saliency.snip, **WITH_WORTH),
    partial(saliency.grasp, **WITH_WORTH),
    saliency.synflow,
    saliency.wanda,
]
OF_UNITS = [
    magnitude.fpgm,
    *(partial(activation.activation, statistic=s) for s in (activation.share_of_nonzeros, activation.mean_size)),
    partial(activation.activation, statistic=activation.rank),
    partial(taylor, aggregate=aggregate.half_mean_square, **WITH_WORTH),
    *(partial(attribution, method=method, aggregate=aggregate.mean_abs, **WITH_WORTH) for method in ATTRIBUTIONS),
    partial(group_shapley, criterion=magnitude.magnitude, **WITH_WORTH),
]


def evidence_of(x: torch.Tensor) -> Evidence:
    return Evidence(x, TARGETS)


def _pairs() -> Iterator:
    """All pairs; slow are those that ask a wide network for each unit or group."""
    for name, criterion in product(("lenet5", "resnet20", "mobilenet_v2"), (*OF_WEIGHTS, *OF_UNITS)):
        slow = name == "mobilenet_v2" and getattr(criterion, "func", None) in (attribution, group_shapley)
        yield pytest.param(criterion, name, marks=pytest.mark.slow if slow else ())


@pytest.mark.parametrize(("criterion", "name"), _pairs())
def test_every_unit_has_a_score_and_the_network_is_left_alone(criterion, name):
    model, x, found = network(name)
    found = (
        found[-3:] if getattr(criterion, "func", None) is attribution else found
    )  # of each reader, a pass of its own
    before = {key: value.clone() for key, value in model.state_dict().items()}
    state, flags = torch.random.get_rng_state(), [p.requires_grad for p in model.parameters()]
    first, second = (criterion(model, found, evidence_of(x), 3).by_group for _ in range(2))
    assert torch.equal(state, torch.random.get_rng_state())
    assert flags == [p.requires_grad for p in model.parameters()] and all(p.grad is None for p in model.parameters())
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())
    for group in found:
        assert first[group.name].shape == (group.size,) and first[group.name].dtype == torch.float32
        assert torch.equal(first[group.name], second[group.name]) and first[group.name].isfinite().all()
    assert any(scores.std() > 0 for scores in first.values())


@pytest.mark.parametrize("criterion", OF_WEIGHTS)
def test_weights_that_are_masked_stay_out(criterion):
    """Scores of what is left are those of the network in which the others are zero."""
    model, x, _ = network("lenet5")
    found = sparsity.find(model)
    kept = {group.name: group.ids[::2] for group in found}
    masked, left = sparsity.mask(model, found, kept)
    zeroed = sparsity.bake(masked)
    one, other = criterion(masked, left, evidence_of(x)), criterion(zeroed, found, evidence_of(x))
    for group in left:
        assert torch.allclose(one.by_group[group.name], other.by_group[group.name][group.ids], atol=1e-6)


@pytest.mark.parametrize("criterion", OF_UNITS)
def test_what_scores_units_says_so_of_weights(criterion):
    model, x, _ = network("lenet5")
    with pytest.raises(ValueError, match="this method scores units, not weights: choose granularity=unit"):
        criterion(model, sparsity.find(model), evidence_of(x))


@given(st.integers(0, 999), st.integers(1, 40))
def test_lamp_is_a_share_of_what_is_as_large(seed, n):
    squares = torch.rand(n, generator=torch.Generator().manual_seed(seed))
    expected = [s / squares[squares >= s].sum() for s in squares]
    assert torch.allclose(magnitude._lamp(squares), torch.stack(expected), rtol=1e-4)
    assert magnitude._lamp(squares).max() == 1


def test_fpgm_finds_the_filter_in_the_middle():
    model, _, found = network("convnet")
    model = deepcopy(model)
    weight = model.get_submodule(found[0].name).weight
    with torch.no_grad():
        weight[3] = weight.mean(dim=0)
    assert int(magnitude.fpgm(model, found[:1]).by_group[found[0].name].argmin()) == 3


def test_bn_scale_reads_gamma_and_needs_one():
    model, _, found = network("resnet20")
    inner = next(group for group in found if group.name == "3.0.conv1")
    gamma = model.get_submodule("3.0.bn1").weight
    assert torch.equal(magnitude.bn_scale(model, [inner]).by_group[inner.name], gamma.detach().abs())
    with pytest.raises(ValueError, match="bn_scale finds no BatchNorm behind 1: choose method=magnitude"):
        magnitude.bn_scale(network("mlp")[0], network("mlp")[2])


def test_activation_statistics_are_of_what_readers_see():
    model, x, found = network("mlp")
    group = found[1]
    with torch.no_grad():
        read = nn.Sequential(*list(model)[:5])(x)
    for statistic, expected in (
        (activation.share_of_nonzeros, (read > 0).float().mean(dim=0)),
        (activation.mean_size, read.abs().mean(dim=0)),
        (activation.rank, (read > 0).float().mean(dim=0)),
    ):
        scores = activation.activation(model, found, evidence_of(x), statistic=statistic, batch=3).by_group[group.name]
        assert torch.allclose(scores, expected, atol=1e-6)


def test_the_rank_of_maps():
    maps = torch.zeros(1, 3, 1, 5, 5)
    maps[0, 1, 0, 0], maps[0, 2, 0] = 1.0, torch.eye(5)
    assert activation.rank(maps).tolist() == [[0, 1, 5]]


def test_snip_of_a_unit_bounds_the_derivative_by_its_mask():
    """A unit's writers scale its activation, if that is homogeneous: |Σ g·w| is |derivative|, and SNIP sums |g·w|."""
    model, x, found = network("mlp")
    model = deepcopy(model)
    with torch.no_grad():
        model[1].bias.zero_()
    derivative = taylor(model, found[:1], evidence_of(x), worth=worth.margin, aggregate=aggregate.mean).by_group["1"]
    weights = saliency.snip(model, sparsity.find(model), evidence_of(x), worth=worth.margin).by_group["1"]
    signed = deepcopy(model)
    worth.margin(signed(x), TARGETS).mean().backward()
    products = (signed[1].weight.grad * signed[1].weight).detach()
    assert torch.allclose(weights, products.abs().flatten(), atol=1e-6)
    assert torch.allclose(products.sum(dim=1), derivative, atol=1e-5)


def test_grasp_is_a_hessian_vector_product():
    model, x, _ = network("mlp")
    model, x = deepcopy(model).double(), x.double()
    found = sparsity.find(model)
    scores = saliency.grasp(deepcopy(model).float(), found, evidence_of(x.float()), worth=worth.negative_cross_entropy)
    weight, step = model[5].weight, 1e-5

    def gradients() -> list[torch.Tensor]:
        value = worth.negative_cross_entropy(model(x), TARGETS).mean()
        return list(torch.autograd.grad(value, [model[i].weight for i in (1, 3, 5)]))

    at, direction = gradients(), gradients()
    with torch.no_grad():
        for layer, d in zip((1, 3, 5), direction, strict=True):
            model[layer].weight += step * d
    product = (gradients()[2] - at[2]) / step
    assert torch.allclose(scores.by_group["5"], (weight * product).flatten().float(), atol=1e-4)


class WithSpare(nn.Module):
    """A head for training only, a buffer of booleans, and a depthwise convolution, which carries and does not write."""

    def __init__(self):
        super().__init__()
        self.conv, self.carry = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3, groups=8)
        self.norm, self.head, self.spare = nn.BatchNorm2d(8, affine=False), nn.Linear(8, 10), nn.Linear(8, 10)
        self.register_buffer("flag", torch.ones(1, dtype=torch.bool))

    def forward(self, x):
        pooled = self.norm(self.carry(self.conv(x))).relu().mean(dim=(2, 3))
        return self.head(pooled) + (self.spare(pooled) if self.training else 0)


@pytest.mark.parametrize("criterion", [c for c in OF_WEIGHTS if c is not magnitude.lamp])
def test_what_does_not_take_part_has_no_say_and_what_carries_does_not_write(criterion):
    torch.manual_seed(0)
    model, x = WithSpare().eval(), torch.randn(len(TARGETS), 3, 9, 9)
    found = dependencies.find(model, x)
    [unit] = criterion(model, found, evidence_of(x)).by_group.values()
    by_layer = criterion(model, sparsity.find(model), evidence_of(x)).by_group
    assert torch.allclose(unit, by_layer["conv"].reshape(8, -1).sum(dim=1), rtol=1e-4)
    assert not by_layer["spare"].any() or criterion is saliency.wanda
    with pytest.raises(ValueError, match="finds no BatchNorm"):
        magnitude.bn_scale(model, found)


def test_synflow_is_conserved():
    """Every layer of a chain without biases carries the same flow (Tanaka et al. 2020, theorem 2)."""
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Linear(6, 5, bias=False), nn.ReLU(), nn.Linear(5, 4, bias=False), nn.ReLU(), nn.Linear(4, 3)
    )
    nn.init.zeros_(model[4].bias)
    scores = saliency.synflow(model, sparsity.find(model), Evidence(torch.randn(2, 6), TARGETS[:2])).by_group
    assert [float(s.sum()) for s in scores.values()] == pytest.approx([1, 1, 1], rel=1e-5)


@pytest.mark.parametrize("groups", [1, 2])
def test_wanda_is_weights_times_the_norm_of_what_they_read(groups):
    torch.manual_seed(0)
    layer, x = nn.Conv2d(4, 6, 3, groups=groups), torch.randn(5, 4, 7, 7)
    scores = saliency.wanda(
        nn.Sequential(layer), sparsity.find(nn.Sequential(layer)), Evidence(x, torch.zeros(5)), batch=2
    )
    norms = x.square().sum(dim=(0, 2, 3)).sqrt()
    by_row = [norms.reshape(groups, -1)[out // (6 // groups)] for out in range(6)]
    expected = layer.weight.abs() * torch.stack(by_row)[:, :, None, None]
    assert torch.allclose(scores.by_group["0"], expected.detach().flatten(), rtol=1e-5)


@pytest.mark.parametrize("of", [worth.negative_cross_entropy, worth.margin])
@pytest.mark.parametrize("method", ATTRIBUTIONS)
def test_attributions_sum_to_the_difference_to_the_baseline(method, of):
    """Completeness, where all that a layer reads are units, also of a network that is sure of itself."""
    model, x, found = network("lenet5")
    model = deepcopy(model)
    with torch.no_grad():
        last = list(model.modules())[-1]
        last.weight *= 20 / model(x).abs().max()
    scores = attribution(model, found, evidence_of(x), worth=of, aggregate=aggregate.mean, method=method)
    with torch.no_grad():
        gain = (of(model(x), TARGETS) - of(model(0 * x), TARGETS)).mean()
    sums = [float(scores.by_group[group.name].sum()) for group in found]
    assert sums == pytest.approx([float(gain)] * len(found), rel=0.05)


@pytest.mark.parametrize("method", ATTRIBUTIONS)
def test_a_batch_bounds_what_passes_at_once_and_changes_nothing(method):
    model, x, found = network("lenet5")
    passed = []

    def output(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        passed.append(len(outputs))
        return outputs.gather(1, targets[:, None]).squeeze(1)

    options = dict(worth=output, aggregate=aggregate.mean, method=method)
    whole = attribution(model, found, evidence_of(x), **options, batch=10**4).by_group
    assert max(passed) >= len(x)
    passed.clear()
    parts = attribution(model, found, evidence_of(x), **options, batch=2).by_group
    assert max(passed) <= 4  # DeepLift's examples go with their baselines
    counted = attribution(model, found[:1], evidence_of(x), **options).evaluations
    assert counted >= {LayerDeepLift: 2, LayerConductance: 50, LayerIntegratedGradients: 50}[method]
    assert all(difference(parts[group.name], whole[group.name]) < 1e-5 for group in found)


def test_functional_relus_have_rules_too():
    model, x, found = network("resnet20")
    last = found[-1]
    scores = attribution(
        model, [last], evidence_of(x), worth=worth.margin, aggregate=aggregate.mean, method=LayerDeepLift
    )
    gradient = taylor(model, [last], evidence_of(x), worth=worth.margin, aggregate=aggregate.mean)
    assert difference(gradient.by_group[last.name], scores.by_group[last.name]) > 1e-3


@given(st.integers(0, 999), st.integers(1, 8))
def test_elimination_finds_the_order_of_an_additive_game(seed, n):
    weights = torch.randperm(n, generator=torch.Generator().manual_seed(seed)).float()
    counted = []

    def game(coalitions: torch.Tensor) -> torch.Tensor:
        counted.append(len(coalitions))
        return (coalitions @ weights)[:, None]

    assert torch.equal(elimination.rounds(game, n).values[0], weights)
    assert sum(counted) == n * (n + 1) // 2 - 1


def test_elimination_keeps_one_of_two_that_do_the_same():
    either = elimination.rounds(lambda c: (c[:, :1].maximum(c[:, 1:2]) + 0.5 * c[:, 2:])[:, :1], 3).values[0]
    assert either.argmin() == 1 and either[2] == 1  # leave-one-out would call both useless


def test_elimination_of_a_network():
    model, x, found = network("convnet")
    scores = elimination.backward_elimination(model, found[:1], evidence_of(x), worth=worth.margin)
    assert sorted(scores.by_group[found[0].name].tolist()) == list(range(16)) and scores.evaluations == 16 * 17 // 2 - 1


def test_groups_share_out_their_values():
    model, x, found = network("convnet")
    scores = group_shapley(model, found, evidence_of(x), worth=worth.margin, criterion=magnitude.magnitude).by_group
    game = Game(model, found, worth.margin, evidence_of(x))
    none, every = game(torch.stack([torch.zeros(game.players), torch.ones(game.players)])).mean(dim=1)
    assert sum(float(s.sum()) for s in scores.values()) == pytest.approx(float(every - none), rel=1e-4)
    for name, norms in magnitude.magnitude(model, found).by_group.items():
        assert torch.equal(scores[name].argsort(), norms.argsort())


@given(st.floats(-9, 9), st.lists(st.floats(0, 9), min_size=1, max_size=9))
def test_shares_sum_to_the_value_and_keep_the_order_of_a_group_that_harms(value, scores):
    within = torch.tensor(scores, dtype=torch.double)
    shared = layers._shared(torch.tensor(value, dtype=torch.double), within)
    assert float(shared.sum()) == pytest.approx(value, abs=1e-9)
    assert (shared[within.argsort()].diff() >= -1e-9).all()


def test_a_hardsigmoid_with_two_derivatives_is_that_of_torch():
    x = torch.linspace(-5, 5, 101, requires_grad=True)
    [slope] = torch.autograd.grad(saliency._Hardsigmoid()(x).sum(), x, create_graph=True)
    assert torch.allclose(saliency._Hardsigmoid()(x), nn.functional.hardsigmoid(x), atol=1e-6)
    assert torch.autograd.grad((slope * x).sum(), x)[0].isfinite().all()
