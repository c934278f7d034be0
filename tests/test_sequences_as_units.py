"""Heads, neurons of transformers and hidden units obey the laws that channels obey."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torchvision.models import VisionTransformer

from benchmarks import measuring
from methods import aggregate, costs, groups, surgery, worth
from methods.attention import Attention, separate
from methods.game import Evidence, Game
from methods.magnitude import magnitude
from methods.recurrent import masking
from methods.taylor import taylor
from tests.networks import difference
from tests.sequences import NAMES, sequence_network
from tests.test_parts import coalitions_of, error
from tests.test_surgery import draw_kept, masks

GROUPS = {
    "vit": {"self_attention.q": 4, "mlp.0": 48},
    "encoder": {"self_attn.q": 4, "linear1": 24},
    "block": {"enter": 16, "attention.q": 4, "mlp.0": 24},
    "lstm": {"first": 12, "second": 10},
    "gru": {"first": 12, "second": 10},
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
    assert [[s.index.tolist() for s in g.slices] for g in groups.find(small, x)] == [
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


def targets_of(model: nn.Module, x: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return model(x).flip(-1).argmax(dim=-1)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.filterwarnings("ignore:every coalition of")
def test_the_game_is_that_of_plain_forward_passes(name):
    model, x, found = sequence_network(name)
    for group in found:
        game = Game(model, group, worth.margin, Evidence(x, targets_of(model, x)))
        inside = name in ("encoder", "lstm", "gru")  # of torch's own layers, where torch.fx does not look
        assert (game.parts is None) == inside
        assert error(game, coalitions_of(game.players)) < 1e-4


@pytest.mark.parametrize("name", NAMES)
def test_taylor_is_the_derivative_by_the_mask(name):
    model, x, found = sequence_network(name)
    evidence, step = Evidence(x, targets_of(model, x)), 0.02
    scores = taylor(model, found, evidence, worth=worth.negative_cross_entropy, aggregate=aggregate.mean).by_group
    for group in found:
        for unit in (0, group.size - 1):
            around = torch.ones(2, group.size)
            around[0, unit] -= step
            around[1, unit] += step
            with torch.no_grad():
                values = []
                for mask in around:
                    with surgery.masked(model, found, {group.name: mask}):
                        values.append(worth.negative_cross_entropy(model(x), evidence.targets).mean())
            assert float(scores[group.name][unit]) == pytest.approx(float(values[1] - values[0]) / (2 * step), abs=5e-3)


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


@pytest.mark.parametrize("layer", [nn.LSTM, nn.GRU])
@pytest.mark.parametrize("batch_first", [True, False])
def test_the_loop_over_time_is_torchs(layer, batch_first):
    torch.manual_seed(0)
    network, x = layer(5, 6, batch_first=batch_first), torch.randn(3, 4, 5)
    outputs, last = network(x)
    looped, last_looped = masking(network, torch.ones(6))(x)
    assert torch.allclose(outputs, looped, atol=1e-6)
    pairs = zip(last, last_looped, strict=True) if layer is nn.LSTM else [(last, last_looped)]
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in pairs)
    state = (last[0] + 1, last[1]) if layer is nn.LSTM else last + 1
    assert torch.allclose(network(x, state)[0], masking(network, torch.ones(6))(x, state)[0], atol=1e-6)


@pytest.mark.parametrize("batch_first", [True, False])
@torch.no_grad()
def test_attention_is_torchs(batch_first):
    torch.manual_seed(0)
    torchs = nn.MultiheadAttention(16, 4, batch_first=batch_first).eval()
    ours = separate(nn.Sequential(torchs))[0]
    x = torch.randn(3, 3, 16)
    assert isinstance(ours, Attention) and torch.allclose(torchs(x, x, x)[0], ours(x, x, x)[0], atol=1e-6)
    padding = torch.tensor([[False, False, True]] * 3)
    later = torch.ones(3, 3).triu(1).bool()
    given = dict(key_padding_mask=padding, attn_mask=later)
    assert torch.allclose(torchs(x, x, x, **given)[0], ours(x, x, x, **given)[0], atol=1e-6)
    as_numbers = torch.zeros(3, 3).masked_fill(later, -1e9)
    assert torch.allclose(torchs(x, x, x, attn_mask=later)[0], ours(x, x, x, attn_mask=as_numbers)[0], atol=1e-6)


@torch.no_grad()
def test_a_causal_attention_sees_no_later_position():
    torch.manual_seed(0)
    attention, x = Attention(16, 4, causal=True), torch.randn(2, 5, 16)
    changed = x.clone()
    changed[:, 3] += 1
    before, after = attention(x, x, x)[0], attention(changed, changed, changed)[0]
    assert torch.equal(before[:, :3], after[:, :3]) and not torch.allclose(before[:, 3], after[:, 3])


def test_a_head_must_have_a_whole_number_of_channels():
    with pytest.raises(ValueError, match="dim=10 cannot be shared out among heads=4"):
        Attention(10, 4)


@torch.no_grad()
def test_pretrained_shapes_are_separated_exactly():
    torch.manual_seed(0)
    images = dict(image_size=16, patch_size=4, num_layers=1, num_heads=2, hidden_dim=8, mlp_dim=8, num_classes=3)
    model, x = VisionTransformer(**images).eval(), torch.randn(2, 3, 16, 16)
    nn.init.normal_(model.heads.head.weight)
    assert difference(model(x), separate(model)(x)) < 1e-5


@pytest.mark.parametrize("options", [dict(num_layers=2), dict(bidirectional=True), dict(proj_size=3)])
def test_recurrent_layers_whose_units_cannot_leave_are_left_alone(options):
    class Stack(nn.Module):
        def __init__(self):
            super().__init__()
            self.enter, self.stack = nn.Linear(5, 7), nn.LSTM(7, 6, batch_first=True, **options)
            self.head = nn.Linear(12 if "bidirectional" in options else options.get("proj_size", 6), 2)

        def forward(self, x):
            return self.head(self.stack(self.enter(x).relu())[0][:, -1])

    model, x = Stack().eval(), torch.randn(3, 4, 5)
    try:
        found = groups.find(model, x)
    except ValueError as error:
        assert "no units to prune" in str(error)
    else:
        assert all(s.layer != "stack" for group in found for s in group.slices)
