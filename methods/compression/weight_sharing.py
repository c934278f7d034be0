"""Weight sharing: the weights of a layer take few values, so that a short index stands for each (Han et al. 2016)."""

from collections.abc import Mapping
from copy import deepcopy

import numpy as np
import torch
from sklearn.cluster import KMeans
from torch import Tensor, nn

BINS = 4096  # of a histogram, on which the clustering works: its time does not grow with the layer
LARGEST = 256  # codebook that an index of one byte can address


@torch.no_grad()
def shared(model: nn.Module, *, bits: int) -> nn.Module:
    """A copy of `model` in which every weight matrix or kernel has at most 2^bits distinct values.

    k-means with linear initialisation (Han et al. 2016, section 3.2); zeros stay zeros, at the cost of one value.
    Raises ValueError for bits that a byte does not hold.
    """
    if not 1 <= bits <= 8:
        raise ValueError(f"compression.weight_sharing.network.bits={bits} is not in a byte: choose 1 to 8")
    copy = deepcopy(model)
    for parameter in copy.parameters():
        if parameter.dim() > 1:
            parameter.copy_(torch.from_numpy(_clustered(parameter.cpu().numpy(), 2**bits)))
    return copy


def _clustered(weight: np.ndarray, size: int) -> np.ndarray:
    """Each weight, but zeros, as the nearest of at most `size` values."""
    there = weight[weight != 0]
    size -= int(len(there) < weight.size)
    if len(np.unique(there)) <= size:
        return weight
    values = _codebook(there, size)
    nearest = np.searchsorted((values[1:] + values[:-1]) / 2, there)
    found = np.zeros_like(weight)
    found[weight != 0] = values[nearest]
    return found


def _codebook(weights: np.ndarray, size: int) -> np.ndarray:
    """The centres, at most `size`, of a k-means clustering of a histogram of the weights, ascending."""
    counts, edges = np.histogram(weights, BINS)
    centres = ((edges[1:] + edges[:-1]) / 2)[counts > 0]
    if len(centres) <= size:
        return centres
    linear = np.linspace(centres[0], centres[-1], size)[:, None]
    found = KMeans(size, init=linear, n_init=1).fit(centres[:, None], sample_weight=counts[counts > 0])
    return np.unique(found.cluster_centers_)


def packed(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same tensors as they would be stored: those with few values as a codebook and indices of one byte."""
    stored: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        values, indices = tensor.unique(return_inverse=True)
        if tensor.is_floating_point() and pays(tensor.numel(), len(values)):
            stored |= {f"{name}.codebook": values, f"{name}.indices": indices.to(torch.uint8)}
        else:
            stored[name] = tensor
    return stored


def pays(size: int, values: int) -> bool:
    """Whether a codebook of float32 `values` and indices for `size` weights take less than the weights."""
    return values <= LARGEST and 4 * values + size < 4 * size
