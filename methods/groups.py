"""Which units live and die together."""

import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import groupby

import torch
import torch_pruning
from torch import Tensor, nn

from methods.attention import Attention
from methods.criterion import Impossible
from methods.recurrent import RECURRENT, STAND_IN, WEIGHTS, by_unit, is_prunable, with_stand_ins

LAST = (nn.Linear, *RECURRENT)  # layers whose channels come last
WRITERS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


@dataclass(frozen=True)
class Slice:
    """The part of one layer that belongs to a group: row u of `index` (n, r) is unit u's share of the channels.

    `side` is "in" where the layer reads the group, "out" where it writes or carries it (BatchNorm, depthwise), "hidden"
    where a recurrent layer reads what it has written.
    """

    layer: str
    side: str
    index: Tensor


@dataclass(frozen=True)
class Group:
    """Units that are coupled across layers, one player each; `ids` (n,) are their numbers in the dense network."""

    name: str
    size: int
    ids: Tensor
    slices: tuple[Slice, ...]

    @property
    def width(self) -> int:
        """How many channels a unit has where it is written: one, but for a head."""
        return next((s.index.shape[1] for s in self.slices if (s.layer, s.side) == (self.name, "out")), 1)

    @property
    def readers(self) -> tuple[Slice, ...]:
        """The slices of the layers whose input the units are: where a mask is exact."""
        return tuple(s for s in self.slices if s.side != "out")

    def written(self, model: nn.Module) -> Tensor:
        """The weights (n, d) that write each unit, over all the layers that write the group."""
        return self.rows(weights(model)).detach()

    def rows(self, tensors: Mapping[str, Tensor]) -> Tensor:
        """Of tensors in the shapes of `weights(model)`, what belongs to the weights that write each unit: (n, d)."""
        written = [(s.layer, s.index) for s in self.slices if s.side == "out"]
        found = [(tensor, index) for layer, index in written for tensor in _of_layer(tensors, layer)]
        return torch.cat([tensor[index.to(tensor.device)].flatten(1) for tensor, index in found], dim=1)


def require_units(groups: Iterable[object]) -> None:
    """Raise ValueError for players that are not units, but single weights."""
    if not all(isinstance(group, Group) for group in groups):
        raise Impossible(
            "this method scores units, not weights: choose granularity=unit, or a method for weights: magnitude, "
            "random, gradual, lamp, snip, grasp, synflow or wanda"
        )


def weights(model: nn.Module) -> dict[str, Tensor]:
    """The weights of every layer that makes channels of its own, by their names."""
    return {
        f"{name}.{kind}".lstrip("."): getattr(layer, kind)
        for name, layer in model.named_modules()
        if is_writer(layer) or is_prunable(layer)
        for kind in (("weight",) if is_writer(layer) else WEIGHTS.values())
    }


def _of_layer(tensors: Mapping[str, Tensor], layer: str) -> list[Tensor]:
    """Those of a layer's tensors, with a row for each channel that it writes."""
    if f"{layer}.weight_hh_l0" in tensors:
        hidden = tensors[f"{layer}.weight_hh_l0"].shape[1]
        return [by_unit(tensors[f"{layer}.{name}"], hidden) for name in WEIGHTS.values()]
    return [tensors[f"{layer}.weight"]] if f"{layer}.weight" in tensors else []


def weight_of(layer: nn.Module) -> Tensor:
    """The weight of a convolution or linear layer, parametrized or not."""
    weight = layer.weight
    assert isinstance(weight, Tensor)
    return weight


def is_writer(layer: nn.Module) -> bool:
    """Whether `layer` makes channels of its own, rather than carry those it reads."""
    return isinstance(layer, WRITERS) and not is_depthwise(layer)


def is_depthwise(layer: nn.Module) -> bool:
    """Whether each output channel of `layer` reads just the input channel of its own number."""
    return isinstance(layer, WRITERS[:3]) and layer.groups == layer.in_channels == layer.out_channels > 1


def find(model: nn.Module, example: Tensor) -> tuple[Group, ...]:
    """List the groups of `model`, in the order of its layers, from Torch-Pruning's dependency graph.

    `example` is one input batch (B, …). Not listed, so never removed: the network's outputs (nobody reads them) and
    groups that pass through a layer where leaving out is not removing (LayerNorm's statistics, grouped convolutions),
    of which a warning tells. Raises ValueError when nothing is left to prune, or for a network that cannot be followed.
    """
    recurrent = {name for name, module in model.named_modules() if is_prunable(module)}
    kinds = {name: type(module).__name__ for name, module in model.named_modules()}
    model = with_stand_ins(model)
    coupled = _coupled(model, example)
    names = {module: name.partition(STAND_IN)[0] for name, module in model.named_modules()}
    order = {name: position for position, name in enumerate(names.values())}
    listed = [(list(items), _group(items, names, order)) for items in coupled]
    found = [_with_own_readers(group, recurrent) for _, group in listed if group]
    known = {**names, **{parameter: name for name, parameter in model.named_parameters()}}
    if reasons := {reason for items, group in listed if not group and (reason := _obstacle(items, known, kinds))}:
        warnings.warn(f"left whole in {type(model).__name__}: {', '.join(sorted(reasons))}", stacklevel=2)
    if not found:
        raise Impossible(
            f"{type(model).__name__} has no units to prune: no convolution or linear layer is read by another"
        )
    return tuple(sorted(found, key=lambda group: order[group.name]))


@contextmanager
def evaluation(model: nn.Module) -> Iterator[nn.Module]:
    """Within the context `model` is in eval mode; afterwards each module is in the mode it was in."""
    training = [module for module in model.modules() if module.training]
    try:
        yield model.eval()
    finally:
        for module in training:
            module.training = True


def _coupled(model: nn.Module, example: Tensor) -> list:
    """Torch-Pruning's groups; its tracing needs gradients."""
    frozen = [p for p in model.parameters() if not p.requires_grad]
    try:
        with torch.enable_grad(), evaluation(model), warnings.catch_warnings():
            warnings.filterwarnings("error", message="Maximum recursive depth")  # or it lists groups without an end
            model.requires_grad_(True)
            graph = torch_pruning.DependencyGraph().build_dependency(model, example, verbose=False)
            return list(graph.get_all_groups(ignored_layers=[], root_module_types=list(WRITERS)))
    except (ArithmeticError, LookupError, UserWarning) as error:  # on its way through reshapes that it does not know
        raise Impossible(f"Torch-Pruning cannot follow the channels of {type(model).__name__} ({error})") from error
    finally:
        for parameter in frozen:
            parameter.requires_grad_(False)


def _group(items: Iterable, names: dict[nn.Module, str], order: dict[str, int]) -> Group | None:
    """The group that Torch-Pruning's (dependency, indices) pairs describe; None if its units cannot be players."""
    items = list(items)
    size = len(items[0].idxs)
    slices = list(_slices(items, size, names))
    sides = {s.side for s in slices if s}
    if not size or None in slices or sides != {"in", "out"}:
        return None
    known = sorted((s for s in slices if s), key=lambda s: (order[s.layer], s.side))
    size, known = _whole_heads(size, known, names)
    writers = {name for module, name in names.items() if is_writer(module)}
    written_by = [s.layer for s in known if s.side == "out" and s.layer in writers]
    return Group(written_by[0], size, torch.arange(size), tuple(known)) if written_by else None


def _obstacle(items: list, names: Mapping[nn.Module | nn.Parameter, str], kinds: Mapping[str, str]) -> str:
    """Where a group meets a layer at which its units cannot be left out; empty for a group that nobody reads.

    `kinds` are those of the network's own layers, of which others may stand in for some.
    """
    layers = [item.dep.target.module for item in items if item.dep.target.module in names]
    closed = [names[layer] for layer in layers if not _can_leave_out(layer)]
    if not closed:
        return ""
    first, what = names[layers[0]], f"{kinds.get(closed[0], 'parameter')} {closed[0]}"
    return f"{first} (it meets {what})" if first != closed[0] else f"{what} (its units stay together)"


def _with_own_readers(group: Group, recurrent: set[str]) -> Group:
    """Recurrent layers read the units that they write."""
    own = (replace(s, side="hidden") for s in group.slices if s.layer in recurrent and s.side == "out")
    return replace(group, slices=(*group.slices, *own))


def _whole_heads(size: int, slices: list[Slice], names: dict[nn.Module, str]) -> tuple[int, list[Slice]]:
    """Channels inside of an attention, which are a unit only as a whole head."""
    inside = {
        (f"{name}.{part}", side): module.width
        for module, name in names.items()
        if isinstance(module, Attention)
        for part, side in (("q", "out"), ("k", "out"), ("v", "out"), ("out", "in"))
    }
    width = max((inside.get((s.layer, s.side), 1) for s in slices), default=1)
    return size // width, [replace(s, index=s.index.reshape(size // width, -1)) for s in slices]


def _slices(items: Iterable, size: int, names: dict[nn.Module, str]) -> Iterator[Slice | None]:
    """One slice for each layer; None stands for a layer at which a unit cannot be left out."""
    for item in items:
        layer = item.dep.target.module
        if isinstance(layer, nn.Module) and layer not in names:
            continue  # an operation without parameters: addition, concatenation, flattening
        side = "out" if "out_channels" in item.dep.handler.__name__ else "in"
        yield _slice(layer, side, item, size, names)


def _slice(layer: object, side: str, item, size: int, names: dict[nn.Module, str]) -> Slice | None:
    shares = sorted(zip(item.root_idxs, item.idxs, strict=True))
    counts = {len(list(share)) for _, share in groupby(shares, key=lambda pair: pair[0])}
    if not _can_leave_out(layer) or counts != {len(shares) // size}:
        return None
    index = torch.tensor([channel for _, channel in shares]).reshape(size, -1)
    return Slice(names[layer], side, index)  # type: ignore[index]


def _can_leave_out(layer: object) -> bool:
    grouped = getattr(layer, "groups", 1) > 1 and not is_depthwise(layer)  # type: ignore[arg-type]
    return isinstance(layer, WRITERS + NORMS) and not grouped
