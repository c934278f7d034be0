"""Networks for texts: recurrent, and transformers of pre-norm blocks."""

import torch
from torch import Tensor, nn

from benchmarks.text import PADDING
from methods.attention import Attention


class Recurrent(nn.Module):
    """An embedding, a recurrent layer and a linear layer on its last output: texts are padded on the left."""

    def __init__(self, layer: type[nn.LSTM] | type[nn.GRU], classes: int, vocabulary: int, embedding: int, hidden: int):
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, embedding, padding_idx=PADDING)
        self.recurrent = layer(embedding, hidden, batch_first=True)
        self.head = nn.Linear(hidden, classes)

    def forward(self, tokens: Tensor) -> Tensor:
        outputs, _ = self.recurrent(self.embedding(tokens))
        return self.head(outputs[:, -1])


def lstm(num_classes: int, vocabulary: int, embedding: int = 64, hidden: int = 128) -> nn.Module:
    """Long short-term memory (Hochreiter & Schmidhuber 1997)."""
    return Recurrent(nn.LSTM, num_classes, vocabulary, embedding, hidden)


def gru(num_classes: int, vocabulary: int, embedding: int = 64, hidden: int = 128) -> nn.Module:
    """Gated recurrent units (Cho et al. 2014)."""
    return Recurrent(nn.GRU, num_classes, vocabulary, embedding, hidden)


class Block(nn.Module):
    """Attention and a two-layer perceptron, each added to a stream whose LayerNorm they read."""

    def __init__(self, dim: int, heads: int, causal: bool):
        super().__init__()
        self.norm1, self.attention = nn.LayerNorm(dim), Attention(dim, heads, causal)
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = nn.Sequential(nn.Linear(dim, 4 * dim), nn.GELU(), nn.Linear(4 * dim, dim))

    def forward(self, x: Tensor, padding: Tensor | None = None) -> Tensor:
        y = self.norm1(x)
        x = x + self.attention(y, y, y, key_padding_mask=padding)[0]
        return x + self.mlp(self.norm2(x))


class TextTransformer(nn.Module):
    """A transformer encoder, whose outputs are averaged over the words that are there."""

    def __init__(self, classes: int, vocabulary: int, length: int, dim: int, heads: int, layers: int):
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, dim)
        self.position = nn.Parameter(0.02 * torch.randn(length, dim))
        self.blocks = nn.ModuleList(Block(dim, heads, causal=False) for _ in range(layers))
        self.norm, self.head = nn.LayerNorm(dim), nn.Linear(dim, classes)

    def forward(self, tokens: Tensor) -> Tensor:
        padding = tokens == PADDING
        x = self.embedding(tokens) + self.position
        for block in self.blocks:
            x = block(x, padding)
        there = (~padding).to(x.dtype).unsqueeze(-1)
        return self.head((self.norm(x) * there).sum(dim=1) / there.sum(dim=1))


def text_transformer(
    num_classes: int, vocabulary: int, length: int, dim: int = 64, heads: int = 4, layers: int = 2
) -> nn.Module:
    """A small transformer encoder (Vaswani et al. 2017; pre-norm: Xiong et al. 2020)."""
    return TextTransformer(num_classes, vocabulary, length, dim, heads, layers)


class GPT(nn.Module):
    """Causal blocks; the logits (B, length, vocabulary) of the token that follows each position."""

    def __init__(self, vocabulary: int, length: int, dim: int, heads: int, layers: int):
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, dim)
        self.position = nn.Parameter(0.02 * torch.randn(length, dim))
        self.blocks = nn.ModuleList(Block(dim, heads, causal=True) for _ in range(layers))
        self.norm, self.head = nn.LayerNorm(dim), nn.Linear(dim, vocabulary)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.embedding(tokens) + self.position
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))


def gpt(vocabulary: int, length: int, dim: int = 96, heads: int = 4, layers: int = 3) -> nn.Module:
    """A small decoder-only transformer (Radford et al. 2019)."""
    return GPT(vocabulary, length, dim, heads, layers)
