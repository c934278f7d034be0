"""What activations say: statistics of what the readers of a unit see of it, averaged over examples and readers."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import ExitStack

import torch
from torch import Tensor, nn

from methods.criterion import Scores
from methods.game import Evidence
from methods.groups import LAST, Group, Slice, evaluation, require_units

Statistic = Callable[[Tensor], Tensor]  # of maps (B, n, r, …), r channels a unit, to (B, n)


def activation(
    model: nn.Module,
    groups: Sequence[Group],
    evidence: Evidence,
    seed: int = 0,
    *,
    statistic: Statistic,
    batch: int = 256,
) -> Scores:
    """The mean of a statistic of each unit's activation as it is read: after its nonlinearity."""
    require_units(groups)
    seen: defaultdict[str, list[Tensor]] = defaultdict(list)
    with ExitStack() as hooks, torch.no_grad(), evaluation(model):
        for group in groups:
            for reader in group.readers:
                hook = _measure(reader, statistic, seen[group.name])
                hooks.callback(model.get_submodule(reader.layer).register_forward_hook(hook).remove)
        for inputs in evidence.inputs.split(batch):
            model(inputs)
    return Scores({name: torch.cat(values).mean(dim=0).cpu() for name, values in seen.items()}, evaluations=1)


def _measure(reader: Slice, statistic: Statistic, seen: list[Tensor]) -> Callable:
    def hook(layer: nn.Module, inputs: tuple[Tensor, ...], output) -> None:
        x = output[0] if reader.side == "hidden" else inputs[0]
        channels = x.movedim(-1, 1) if isinstance(layer, LAST) else x
        seen.append(statistic(channels[:, reader.index.to(x.device)]).float())

    return hook


def share_of_nonzeros(maps: Tensor) -> Tensor:
    """1 − the average percentage of zeros (APoZ, Hu et al. 2016, eq. 1)."""
    return (maps != 0).float().flatten(2).mean(dim=2)


def mean_size(maps: Tensor) -> Tensor:
    """The mean absolute activation; after a ReLU the mean (Molchanov et al. 2017, section 2.2: "activation")."""
    return maps.abs().flatten(2).mean(dim=2)


def rank(maps: Tensor) -> Tensor:
    """The rank of the feature map of each channel, summed over a unit's (HRank, Lin et al. 2020, eq. 5).

    Without two spatial dimensions a map is a row, whose rank is 1, or 0 if it is all zeros.
    """
    pictures = maps if maps.dim() == 5 else maps.flatten(2)[:, :, None, None]
    return torch.linalg.matrix_rank(pictures).float().sum(dim=2)
