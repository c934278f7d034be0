"""Leave units out for one forward pass (`masked`), or for good (`remove`): both compute the same function."""

import json
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from copy import deepcopy
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch_pruning import ops
from torch_pruning.pruner.function import PrunerBox

from methods import dependencies, recurrent
from methods.attention import Attention
from methods.groups import LAST, WRITERS, Group, Slice, weight_of

Kept = Mapping[str, Tensor]
WITH_TIME = (nn.RNNBase, nn.MultiheadAttention, Attention)  # layers that know where time is


@contextmanager
def masked(model: nn.Module, groups: Sequence[Group], masks: Mapping[str, Tensor]) -> Iterator[nn.Module]:
    """Within the context, every reader of a group sees its units multiplied by the group's mask.

    A mask is (n,) for the whole batch or (B, n) for one mask an example; groups without a mask are whole. Masks sit at
    the readers, since a BatchNorm's bias revives a channel that is zeroed where it is written. Raises ValueError for
    one mask an example where inputs of linear layers may be (time, B, …), and for two masks of a recurrent layer.
    """
    time_first = _is_time_first(model)
    with ExitStack() as hooks:
        for group in groups:
            for reader in group.readers if group.name in masks else ():
                layer = model.get_submodule(reader.layer)
                hooks.enter_context(_masking(layer, reader, masks[group.name], time_first))
        yield model


@contextmanager
def _masking(layer: nn.Module, reader: Slice, mask: Tensor, time_first: bool) -> Iterator[None]:
    if reader.side == "hidden":
        assert isinstance(layer, nn.LSTM | nn.GRU)
        if "forward" in vars(layer):
            raise ValueError(f"{reader.layer} is masked already: give all masks at once")
        whole = mask.new_ones(*mask.shape[:-1], layer.hidden_size)
        whole[..., reader.index.flatten().to(mask.device)] = mask
        layer.forward = recurrent.masking(layer, whole)  # type: ignore[method-assign]
        undo: Callable[[], None] = partial(delattr, layer, "forward")
    else:
        undo = layer.register_forward_pre_hook(_mask_input(reader.index, mask, time_first)).remove
    try:
        yield
    finally:
        undo()


def _is_time_first(model: nn.Module) -> bool:
    """Whether a layer of `model` takes (time, B, …), so that those around it may do so too."""
    return any(isinstance(m, WITH_TIME) and not m.batch_first for m in model.modules())


def _mask_input(index: Tensor, mask: Tensor, time_first: bool):
    def hook(layer: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        x = inputs[0]
        if time_first and mask.dim() == 2 and isinstance(layer, nn.Linear) and x.dim() > 2:
            raise ValueError("a mask for each example needs examples first: make its layers with batch_first=True")
        examples = 1 if isinstance(layer, nn.RNNBase) and not layer.batch_first else 0
        if mask.dim() == 2 and x.shape[examples] != len(mask):
            raise ValueError(
                f"a mask for each example needs them apart, and {type(layer).__name__} sees {x.shape[examples]} for "
                f"{len(mask)}: leave time out of the batch"
            )
        dim = x.dim() - 1 if isinstance(layer, LAST) else 1
        channels = x.new_ones((*mask.shape[:-1], x.shape[dim]))
        channels[..., index.to(x.device)] = mask.to(x).unsqueeze(-1)
        shape = [1] * x.dim()
        shape[dim] = x.shape[dim]
        shape[examples] = len(mask) if mask.dim() == 2 else 1
        return (x * channels.reshape(shape), *inputs[1:])

    return hook


def remove(model: nn.Module, groups: Sequence[Group], kept: Kept) -> tuple[nn.Module, tuple[Group, ...]]:
    """A copy of `model` without the units that are not in `kept` (original ids by group), and its groups.

    Groups that `kept` does not name stay whole, and what is frozen stays frozen. Raises ValueError for ids that the
    network does not have.
    """
    stays = {
        g.name: _stays(g, kept[g.name]) if g.name in kept else torch.ones(len(g.ids), dtype=torch.bool) for g in groups
    }
    copy = deepcopy(model)
    moved = {place: _remove_channels(copy, *place, gone) for place, gone in _gone(groups, stays).items()}
    learns = {name: p.requires_grad for name, p in model.named_parameters(remove_duplicate=False)}
    for name, parameter in copy.named_parameters():
        parameter.requires_grad_(learns[name])  # removal makes new parameters, which would all learn
    return copy, tuple(_compact(group, stays[group.name], moved) for group in groups)


def _stays(group: Group, kept: Tensor) -> Tensor:
    if missing := set(kept.tolist()) - set(group.ids.tolist()):
        raise ValueError(
            f"group {group.name} has no units {sorted(missing)}: it has {len(group.ids)} of {group.size} left"
        )
    return torch.isin(group.ids, kept)


def _gone(groups: Sequence[Group], stays: Mapping[str, Tensor]) -> dict[tuple[str, str], Tensor]:
    """The channels to drop at each (layer, side): groups can share a layer, behind a concatenation for one."""
    gone: dict[tuple[str, str], list[Tensor]] = defaultdict(list)
    for group in groups:
        for s in group.slices:
            gone[s.layer, s.side].append(s.index[~stays[group.name]].flatten())
    return {place: torch.cat(channels) for place, channels in gone.items()}


def _remove_channels(model: nn.Module, layer: str, side: str, gone: Tensor) -> Tensor:
    """Drop channels of one layer, in place; returns where each old channel is now."""
    module = model.get_submodule(layer)
    if isinstance(module, recurrent.RECURRENT):
        return _remove_recurrent(module, side, gone)
    pruner = PrunerBox[ops.module2type(module)]
    channels = (pruner.get_out_channels if side == "out" else pruner.get_in_channels)(module)
    if len(gone):
        (pruner.prune_out_channels if side == "out" else pruner.prune_in_channels)(module, gone.tolist())
    alive = torch.ones(channels, dtype=torch.long)
    alive[gone] = 0
    return alive.cumsum(0) - 1


def _remove_recurrent(layer: nn.Module, side: str, gone: Tensor) -> Tensor:
    assert isinstance(layer, nn.LSTM | nn.GRU)
    channels = layer.input_size if side == "in" else layer.get_parameter("weight_hh_l0").shape[1]
    alive = torch.ones(channels, dtype=torch.long)
    alive[gone] = 0
    recurrent.remove(layer, side, alive.bool())
    return alive.cumsum(0) - 1


def _compact(group: Group, stays: Tensor, moved: Mapping[tuple[str, str], Tensor]) -> Group:
    slices = tuple(Slice(s.layer, s.side, moved[s.layer, s.side][s.index[stays]]) for s in group.slices)
    return replace(group, ids=group.ids[stays], slices=slices)


def zeroed(model: nn.Module, groups: Sequence[Group], kept: Kept) -> nn.Module:
    """A copy of `model` in its full size, in which nobody reads the units that are not kept: a mask made of zeros."""
    copy = deepcopy(model)
    for group in groups:
        for reader in group.readers:
            layer = copy.get_submodule(reader.layer)
            weight = weight_of(layer) if isinstance(layer, WRITERS) else getattr(layer, recurrent.WEIGHTS[reader.side])
            gone = reader.index[~_stays(group, kept[group.name])].flatten()
            with torch.no_grad():
                weight[:, gone.to(weight.device)] = 0
    return copy


def tensors(model: nn.Module) -> dict[str, Tensor]:
    """All parameters and buffers as a safetensors file takes them: on the CPU, contiguous."""
    return {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}


def save(path: Path, model: nn.Module, groups: Sequence[Group] = ()) -> None:
    """Write the weights and, as JSON in the header, the ids of the units that are left: a safetensors file."""
    weights = tensors(model)
    kept = {group.name: group.ids.tolist() for group in groups}
    save_file(weights, path, metadata={"kept": json.dumps(kept)})


def load(path: Path, dense: nn.Module, example: Tensor) -> tuple[nn.Module, tuple[Group, ...]]:
    """Read a network that `save` wrote, given a dense network of its architecture with any weights.

    Raises ValueError when the file is broken or is of another architecture.
    """
    try:
        with safe_open(path, framework="pt") as file:
            kept = {name: torch.tensor(ids) for name, ids in json.loads(file.metadata()["kept"]).items()}
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
        groups = dependencies.find(dense, example) if kept else ()
        model, groups = remove(dense, groups, kept)
        fill(model, weights)
    except (SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(
            f"{path} is not a checkpoint of this {type(dense).__name__} ({reason}): delete it to make it anew"
        ) from error
    return model, groups


def fill(model: nn.Module, weights: Mapping[str, Tensor], strict: bool = True) -> None:
    """Load weights, in place, into layers of the versions that `model` has: safetensors files tell none."""
    state = OrderedDict(weights)
    state._metadata = model.state_dict()._metadata  # type: ignore[attr-defined]
    model.load_state_dict(state, strict)
