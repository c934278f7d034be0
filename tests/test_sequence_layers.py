"""Attention and recurrent layers by themselves: equal to torch's; what cannot be a unit is left alone or refused."""

from functools import partial

import numpy as np
import pytest
import torch
from torch import nn
from torchvision.models import VisionTransformer

from benchmarks import measuring
from methods import costs, dependencies, surgery, worth
from methods.attention import Attention, separate
from methods.game import Evidence, Game
from methods.recurrent import masking
from tests.networks import difference
from tests.sequences import sequence_network, targets_of
from tests.test_parts import coalitions_of, error


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
    game = Game(model, dependencies.find(model, x), worth.margin, Evidence(x, targets_of(model, x)))
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
    found = dependencies.find(model, x)
    assert {group.name for group in found} == left
    small, groups_left = surgery.remove(model, found, {group.name: group.ids[1:] for group in found})
    counts = np.array([len(group.ids) for group in groups_left])
    parameters = costs.unit_cost(model, found, x, "parameters")(counts)
    assert parameters == pytest.approx(sum(p.numel() for p in small.parameters()))
    if "state" not in options:  # which is not on the device where multiplications are counted
        assert costs.unit_cost(model, found, x, "macs")(counts) == pytest.approx(measuring.macs(small, x))


class Cells(nn.Module):
    """A loop over the time steps of a cell, as users write it."""

    def __init__(self, cell: type[nn.RNNCellBase]):
        super().__init__()
        self.enter, self.cell, self.pair = nn.Linear(5, 7), cell(7, 6), cell is nn.LSTMCell
        self.middle, self.head = nn.Linear(6, 8), nn.Linear(8, 2)

    def forward(self, x):
        x, state = self.enter(x).relu(), None
        for step in x.unbind(1):
            state = self.cell(step, state)
        return self.head(self.middle(state[0] if self.pair else state).relu())


class Plain(nn.Module):
    """A layer without gates."""

    def __init__(self):
        super().__init__()
        self.enter, self.layer = nn.Linear(5, 7), nn.RNN(7, 6, batch_first=True)
        self.middle, self.head = nn.Linear(6, 8), nn.Linear(8, 2)

    def forward(self, x):
        return self.head(self.middle(self.layer(self.enter(x))[1][0]).relu())


@pytest.mark.parametrize("build", [*(partial(Cells, c) for c in (nn.LSTMCell, nn.GRUCell, nn.RNNCell)), Plain])
@torch.no_grad()
def test_cells_and_layers_without_gates_are_left_alone_which_is_told(build):
    torch.manual_seed(0)
    model, x = build().eval(), torch.randn(3, 4, 5)
    with pytest.warns(UserWarning, match=r"left whole in \w+: .*enter \(it meets (\w+Cell cell|RNN layer)\)"):
        found = dependencies.find(model, x)
    assert [group.name for group in found] == ["middle"]
    small, left = surgery.remove(model, found, {"middle": torch.tensor([1, 4])})
    with surgery.masked(model, found, {"middle": torch.tensor([0.0, 1, 0, 0, 1, 0, 0, 0])}):
        assert difference(model(x), small(x)) < 1e-5
    for of, counted in (("parameters", sum(p.numel() for p in small.parameters())), ("macs", measuring.macs(small, x))):
        assert costs.unit_cost(model, found, x, of)(np.array([len(left[0].ids)])) == pytest.approx(counted)


class Started(nn.Module):
    """A recurrent layer that starts from a state which others read as well; what is used is its last state."""

    def __init__(self, **options):
        super().__init__()
        self.state, self.side, self.layer = nn.Linear(5, 6), nn.Linear(6, 4), nn.GRU(5, 6, batch_first=True, **options)
        self.middle, self.head = nn.Linear(6, 8), nn.Linear(12, 2)

    def forward(self, x):
        start = self.state(x[:, 0]).relu()
        _, last = self.layer(x, start.expand(2, -1, -1).contiguous())
        return self.head(torch.cat([self.middle(last[-1]).relu(), self.side(start)], dim=1))


@pytest.mark.parametrize("options", [dict(num_layers=2), dict(bidirectional=True)])
@torch.no_grad()
def test_a_state_of_layers_that_stay_whole_stays_too(options):
    model, x = Started(**options).eval(), torch.randn(3, 4, 5)
    with pytest.warns(UserWarning, match=r"state \(it meets GRU layer\)"):
        found = dependencies.find(model, x)
    assert {group.name for group in found} == {"middle", "side"}
    small, _ = surgery.remove(model, found, {group.name: group.ids[1:] for group in found})
    assert small(x).shape == (3, 2)


def test_where_the_examples_are_must_be_known():
    model, x = Stack().eval(), torch.randn(4, 4, 5)
    found = dependencies.find(model, x)
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
        dependencies.find(Packed(), torch.randn(2, 4, 5))


def test_a_recurrent_layer_takes_one_mask_at_a_time():
    model, x, found = sequence_network("lstm")
    half = {found[0].name: (found[0].ids % 2).float()}
    with surgery.masked(model, found, half):
        with pytest.raises(ValueError, match="first is masked already"), surgery.masked(model, found, half):
            pass
        assert difference(model(x), sequence_network("lstm")[0](x)) == 0  # the same object: still masked
    assert "forward" not in vars(model.first)
