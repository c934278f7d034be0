"""Small networks on sequences that the laws are tested on: heads, neurons and hidden units."""

from functools import lru_cache

import torch
from torch import Tensor, nn
from torchvision.models import VisionTransformer

from methods import dependencies
from methods.attention import Attention, separate
from methods.groups import Group

NAMES = ("vit", "encoder", "block", "lstm", "gru", "handover")


class Recurrent(nn.Module):
    """Two recurrent layers after an embedding; the head reads the last output and the last state."""

    def __init__(self, layer: type[nn.LSTM] | type[nn.GRU]):
        super().__init__()
        self.embedding = nn.Embedding(11, 8)
        self.first, self.second = layer(8, 12, batch_first=True), layer(12, 10, batch_first=True)
        self.head = nn.Linear(20, 5)

    def forward(self, tokens: Tensor) -> Tensor:
        hidden, _ = self.first(self.embedding(tokens))
        outputs, state = self.second(hidden)
        last = state[0] if isinstance(state, tuple) else state
        return self.head(torch.cat([outputs[:, -1], last[-1]], dim=1))


class Handover(nn.Module):
    """Two time-first recurrent layers, of which the second starts from the last state of the first."""

    def __init__(self):
        super().__init__()
        self.embedding, self.enter = nn.Embedding(11, 8), nn.Linear(8, 6)
        self.first, self.second = nn.LSTM(6, 12, bias=False), nn.LSTM(6, 12, bias=False)
        self.head = nn.Linear(12, 5)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.enter(self.embedding(tokens)).transpose(0, 1)
        outputs, _ = self.second(x.flip(0), self.first(x)[1])
        return self.head(outputs[-1])


class Encoder(nn.Module):
    """torch's own encoder, with padding."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(11, 16)
        layer = nn.TransformerEncoderLayer(16, 4, 24, batch_first=True)
        self.encoder, self.head = nn.TransformerEncoder(layer, 2), nn.Linear(16, 5)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.head(self.encoder(self.embedding(tokens), src_key_padding_mask=tokens == 0)[:, 0])


class Block(nn.Module):
    """Causal attention without LayerNorm, so that the stream is a group too; an output for each position."""

    def __init__(self):
        super().__init__()
        self.embedding, self.enter = nn.Embedding(11, 16), nn.Linear(16, 16)
        self.attention = Attention(16, 4, causal=True)
        self.mlp, self.head = nn.Sequential(nn.Linear(16, 24), nn.GELU(), nn.Linear(24, 16)), nn.Linear(16, 11)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.enter(self.embedding(tokens))
        x = x + self.attention(x, x, x)[0]
        return self.head(x + self.mlp(x))


@lru_cache
def sequence_network(name: str) -> tuple[nn.Module, Tensor, tuple[Group, ...]]:
    """A network in eval mode, a batch of four inputs, and its groups."""
    torch.manual_seed(0)
    images = dict(image_size=16, patch_size=4, num_layers=2, num_heads=4, hidden_dim=32, mlp_dim=48, num_classes=10)
    model = {
        "vit": lambda: VisionTransformer(**images),
        "encoder": Encoder,
        "block": Block,
        "lstm": lambda: Recurrent(nn.LSTM),
        "gru": lambda: Recurrent(nn.GRU),
        "handover": Handover,
    }[name]()
    for parameter in model.parameters():
        if parameter.dim() > 1:
            nn.init.normal_(parameter, std=0.3)
    model = separate(model.eval())
    x = torch.randn(4, 3, 16, 16) if name == "vit" else torch.randint(1, 11, (4, 7))
    if name == "encoder":
        x[:2, -2:] = 0
    return model, x, dependencies.find(model, x)


def targets_of(model: nn.Module, x: Tensor) -> Tensor:
    """A class for each output: the mirror image of the likeliest, so that worths vary."""
    with torch.no_grad():
        return model(x).flip(-1).argmax(dim=-1)
