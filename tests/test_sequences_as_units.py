"""Heads, neurons of transformers and hidden units obey the laws that channels obey."""

from copy import deepcopy

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


def targets_of(model: nn.Module, x: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return model(x).flip(-1).argmax(dim=-1)


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
@pytest.mark.parametrize("bias", [True, False])
@torch.no_grad()
def test_attention_is_torchs(batch_first, bias):
    torch.manual_seed(0)
    torchs = nn.MultiheadAttention(16, 4, batch_first=batch_first, bias=bias).eval()
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


def test_separated_weights_are_trained_only_if_they_were():
    frozen = nn.Sequential(nn.MultiheadAttention(8, 2).requires_grad_(False))
    assert not any(parameter.requires_grad for parameter in separate(frozen).parameters())
    assert all(
        parameter.requires_grad for parameter in separate(nn.Sequential(nn.MultiheadAttention(8, 2))).parameters()
    )


def test_a_mask_of_its_own_for_each_head_is_refused():
    attention, x = Attention(8, 2), torch.randn(1, 3, 8)
    with pytest.raises(ValueError, match="attn_mask has 3 dimensions"):
        attention(x, x, x, attn_mask=torch.zeros(2, 3, 3))


def test_attention_with_padding_is_played_in_parts():
    class Padded(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding, self.attention, self.head = nn.Embedding(11, 8), Attention(8, 4), nn.Linear(8, 3)

        def forward(self, tokens):
            x = self.embedding(tokens)
            return self.head(self.attention(x, x, x, key_padding_mask=tokens == 0)[0].mean(dim=1).relu())

    torch.manual_seed(0)
    model, x = Padded().eval(), torch.tensor([[0, 0, 3, 4], [0, 1, 2, 3], [4, 3, 2, 1]])
    game = Game(model, groups.find(model, x), worth.margin, Evidence(x, targets_of(model, x)))
    assert game.parts is not None and error(game, coalitions_of(game.players)) < 1e-4


class Stack(nn.Module):
    """A recurrent layer between linear ones; `state` is what it starts from."""

    def __init__(self, state=None, **options):
        super().__init__()
        self.enter, self.stack, self.state = nn.Linear(5, 7), nn.LSTM(7, 6, **options), state
        outputs = options.get("proj_size", 6) * (2 if "bidirectional" in options else 1)
        self.middle, self.head = nn.Linear(outputs, 8), nn.Linear(8, 2)

    def forward(self, x):
        return self.head(self.middle(self.stack(self.enter(x).relu(), self.state)[0]).relu().mean(dim=1))


ZEROS = (torch.zeros(1, 4, 6), torch.zeros(1, 4, 6))  # of a size that no surgery changes


@pytest.mark.parametrize(
    ("options", "left"),
    [
        (dict(num_layers=2), {"middle"}),
        (dict(bidirectional=True), {"middle"}),
        (dict(proj_size=3), {"middle"}),
        (dict(state=ZEROS), {"enter", "middle"}),
        ({}, {"enter", "stack", "middle"}),
    ],
)
def test_recurrent_layers_whose_units_cannot_leave_are_left_alone(options, left):
    torch.manual_seed(0)
    model, x = Stack(batch_first=True, **options).eval(), torch.randn(4, 5, 5)
    found = groups.find(model, x)
    assert {group.name for group in found} == left
    small, groups_left = surgery.remove(model, found, {group.name: group.ids[1:] for group in found})
    counts = np.array([len(group.ids) for group in groups_left])
    parameters = costs.unit_cost(model, found, x, "parameters")(counts)
    assert parameters == pytest.approx(sum(p.numel() for p in small.parameters()))
    if "state" not in options:  # which is not on the device where multiplications are counted
        assert costs.unit_cost(model, found, x, "macs")(counts) == pytest.approx(measuring.macs(small, x))


def test_where_the_examples_are_must_be_known():
    model, x = Stack().eval(), torch.randn(4, 4, 5)
    found = groups.find(model, x)
    with (
        surgery.masked(model, found, {"stack": torch.ones(4, 6)}),
        pytest.raises(ValueError, match="needs examples first: make its layers with batch_first=True"),
    ):
        model(x)


def test_packed_sequences_are_refused():
    class Packed(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.head = nn.GRU(5, 6, batch_first=True), nn.Linear(6, 2)

        def forward(self, x):
            packed = nn.utils.rnn.pack_padded_sequence(x, torch.tensor([4, 2]), batch_first=True)
            return self.head(self.first(packed)[1][0])

    with pytest.raises(ValueError, match="packed sequences have no units to leave out: pad texts on the left"):
        groups.find(Packed(), torch.randn(2, 4, 5))


def test_a_recurrent_layer_takes_one_mask_at_a_time():
    model, x, found = sequence_network("lstm")
    half = {found[0].name: (found[0].ids % 2).float()}
    with surgery.masked(model, found, half):
        with pytest.raises(ValueError, match="first is masked already"), surgery.masked(model, found, half):
            pass
        assert difference(model(x), sequence_network("lstm")[0](x)) == 0  # the same object: still masked
    assert "forward" not in vars(model.first)
