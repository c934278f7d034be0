"""How groups are found: by Torch-Pruning's dependency graph (DepGraph, Fang et al. 2023)."""

import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import groupby

import torch
import torch_pruning
from torch import Tensor, nn

from methods.attention import Attention
from methods.criterion import Impossible
from methods.groups import NORMS, WRITERS, Group, Slice, evaluation, is_depthwise, is_writer
from methods.recurrent import STAND_IN, is_prunable, with_stand_ins


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
