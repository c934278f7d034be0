"""Networks that reconstruct images from a short code."""

from collections.abc import Sequence
from math import prod

import torch
from torch import Tensor, nn


def _layers(*widths: int) -> list[nn.Module]:
    """Linear layers with ReLUs between them."""
    pairs = [(nn.Linear(a, b), nn.ReLU()) for a, b in zip(widths, widths[1:], strict=False)]
    return [layer for pair in pairs for layer in pair][:-1]


def autoencoder(shape: Sequence[int], hidden: int = 128, code: int = 16) -> nn.Module:
    """A multilayer perceptron from images of `shape` (C, H, W) to a code and back (Hinton & Salakhutdinov 2006)."""
    size = prod(shape)
    encoder, decoder = _layers(size, hidden, code), _layers(code, hidden, size)
    return nn.Sequential(nn.Flatten(), *encoder, nn.ReLU(), *decoder, nn.Unflatten(1, tuple(shape)))


class VAE(nn.Module):
    """Reconstruction, mean and log-variance of a sampled code in training; else a reconstruction without noise."""

    def __init__(self, shape: Sequence[int], hidden: int, code: int):
        super().__init__()
        size = prod(shape)
        self.encoder = nn.Sequential(nn.Flatten(), nn.Linear(size, hidden), nn.ReLU())
        self.mean, self.log_variance = nn.Linear(hidden, code), nn.Linear(hidden, code)
        self.decoder = nn.Sequential(*_layers(code, hidden, size), nn.Unflatten(1, tuple(shape)))

    def forward(self, x: Tensor):
        features = self.encoder(x)
        mean, log_variance = self.mean(features), self.log_variance(features)
        noise = torch.randn_like(mean) if self.training else torch.zeros_like(mean)
        reconstruction = self.decoder(mean + noise * (0.5 * log_variance).exp())
        return (reconstruction, mean, log_variance) if self.training else reconstruction


def vae(shape: Sequence[int], hidden: int = 128, code: int = 8) -> nn.Module:
    """A variational autoencoder (Kingma & Welling 2014)."""
    return VAE(shape, hidden, code)
