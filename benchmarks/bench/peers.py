"""What a user would write today: Captum's sampler on a network whose units are masked by a hook."""

from collections.abc import Callable, Iterator, Sequence

import torch
from captum.attr import ShapleyValueSampling
from torch import Tensor, nn

from methods.game import Evidence, Worth
from methods.groups import Group

Peer = Callable[[Tensor], Tensor]


def on_a_hook(model: nn.Module, group: Group, worth: Worth, evidence: Evidence) -> Peer:
    """The mean worth (1,) of one coalition (1, n): a plain forward pass of the whole network under masks."""
    mask = torch.ones(len(group.ids))
    for reader in group.readers:
        model.get_submodule(reader.layer).register_forward_pre_hook(_zeroing(reader.index, mask))

    @torch.no_grad()
    def value(coalition: Tensor) -> Tensor:
        mask.copy_(coalition[0])
        return worth(model(evidence.inputs), evidence.targets).mean()[None]

    return value


def on_a_cached_prefix(model: nn.Module, group: Group, worth: Worth, evidence: Evidence) -> Peer:
    """The same, but the layers or blocks before the first one that reads the group are computed once, by hand."""
    steps = list(_steps(model))
    readers = {model.get_submodule(reader.layer) for reader in group.readers}
    first = next(i for i, step in enumerate(steps) if readers & set(step.modules()))
    with torch.no_grad():
        cached = nn.Sequential(*steps[:first])(evidence.inputs)
    names = {module: name for name, module in nn.Sequential(*steps[first:]).named_modules()}
    slices = tuple(
        type(reader)(names[model.get_submodule(reader.layer)], "in", reader.index) for reader in group.readers
    )
    rest = Group(group.name, group.size, group.ids, slices)
    return on_a_hook(nn.Sequential(*steps[first:]), rest, worth, Evidence(cached, evidence.targets))


def sample(value: Peer, players: int, permutations: int = 1, merged: int | None = None) -> Tensor:
    """Captum's sampler as it comes, one coalition a call; with players `merged` into a few, to time a few calls."""
    parts = torch.arange(players)[None] * merged // players if merged else None
    return ShapleyValueSampling(value).attribute(torch.ones(1, players), n_samples=permutations, feature_mask=parts)


def _zeroing(channels: Tensor, mask: Tensor) -> Callable:
    def hook(layer: nn.Module, inputs: Sequence[Tensor]) -> Tensor:
        x = inputs[0]
        present = torch.ones(x.shape[1])
        present[channels] = mask[:, None]
        return x * present.reshape(1, -1, *[1] * (x.dim() - 2))

    return hook


def _steps(model: nn.Module) -> Iterator[nn.Module]:
    """The layers and blocks of a network that is a chain of them."""
    for child in model.children() if isinstance(model, nn.Sequential) else [model]:
        yield from _steps(child) if isinstance(child, nn.Sequential) else [child]
