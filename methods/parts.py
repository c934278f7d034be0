"""A network in three parts: what no coalition changes, what is a sum over a coalition's units, and what follows."""

import operator
from collections.abc import Iterable, Sequence
from copy import deepcopy
from typing import NamedTuple

import torch
from torch import Tensor, fx, nn
from torch.func import functional_call
from torch.nn import functional as F

from methods.groups import NORMS, WRITERS, Group, weight_of
from methods.tracing import batchable

AFFINE_LAYERS = (
    *(*WRITERS, *NORMS, nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d),
    *(nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d, nn.Flatten, nn.Identity, nn.Dropout),
)
AFFINE_CALLS = {
    *(operator.add, operator.sub, torch.add, torch.sub, torch.cat, torch.flatten, torch.mean),
    *(F.avg_pool2d, F.adaptive_avg_pool2d, "add", "sub", "flatten", "mean", "reshape", "view", "permute", "transpose"),
}
PRODUCTS = {operator.mul, torch.mul, "mul"}
CONSTANT, AFFINE, GENERAL = range(3)
NOBODY = -1  # the number of no unit


class Parts(NamedTuple):
    """A network in three parts, together a function of its input and a coalition (n,).

    `before` maps the input to the values that no coalition changes; `sums` maps these and a coalition (or the number of
    one unit, for that unit alone) to the tensors that are affine in the coalition; `after` maps both to the output.
    `independent`: `after` needs the sums only, so that coalitions are examples to it.
    """

    before: fx.GraphModule
    sums: fx.GraphModule
    after: fx.GraphModule
    independent: bool


class Reader(nn.Module):
    """A layer that sees zeros in place of the units that a coalition leaves out.

    `player` (channels,) numbers the unit that each input channel belongs to; n marks channels that are always there.
    """

    def __init__(self, layer: nn.Module, player: Tensor):
        super().__init__()
        self.layer, self.player = layer, player.to(weight_of(layer).device)
        self.dim = -1 if isinstance(layer, nn.Linear) else 1

    def forward(self, x: Tensor, coalition: Tensor | int) -> Tensor:
        if isinstance(coalition, int):
            return self._alone(x, coalition)
        present = torch.cat([coalition, coalition.new_ones(1)])[self.player]
        shape = [1] * x.dim()
        shape[self.dim] = -1
        return self.layer(x * present.reshape(shape))

    def _alone(self, x: Tensor, unit: int) -> Tensor:
        """The layer's bias and what one unit's channels add to it: a slice of the layer, not a masked whole."""
        channels = (self.player == unit).nonzero().flatten()
        weight = weight_of(self.layer)
        narrow = weight[:, channels] if len(channels) else torch.zeros_like(weight[:, :1])
        some = x.index_select(self.dim, channels) if len(channels) else x.narrow(self.dim, 0, 1)
        return functional_call(self.layer, {"weight": narrow}, some)


def cut(graph: fx.GraphModule, groups: Sequence[Group]) -> Parts:
    """Cut a traced network by what depends on which units of `groups` are there; players are their units in order."""
    graph = _with_readers(graph, groups)
    *nodes, end = graph.graph.nodes
    coalition = next(node for node in nodes if node.name == "coalition")
    kinds = _kinds(graph, nodes, coalition)
    constant, affine, general = ([n for n in nodes if kinds[n] == kind] for kind in (CONSTANT, AFFINE, GENERAL))
    affine.remove(coalition)
    known, sums = _used(constant, affine + general), _used(affine, [*general, end])
    inputs = [node for node in constant if node.op == "placeholder"]
    before, between = _part(graph, inputs, constant, known), _part(graph, [*known, coalition], affine, sums)
    after = _part(graph, [*known, *sums, coalition], general, end.args[0])
    independent = not _used([*known, coalition], general)
    return Parts(before, between, after if independent else batchable(after), independent)


def active(parts: Parts, players: int) -> Tensor:
    """The players that take part in the sums: of several groups, those that are read first."""
    readers = [layer for layer in parts.sums.modules() if isinstance(layer, Reader)]
    seen = torch.cat([reader.player for reader in readers] or [torch.zeros(0, dtype=torch.long)]).unique()
    return seen[seen < players]


def _with_readers(graph: fx.GraphModule, groups: Sequence[Group]) -> fx.GraphModule:
    """The graph with a second input, the coalition, which goes to the layers that read the groups' units."""
    copy = fx.GraphModule(graph, deepcopy(graph.graph))
    players = _players(graph, groups)
    for name, player in players.items():
        copy.set_submodule(name, Reader(graph.get_submodule(name), player))
    last = [node for node in copy.graph.nodes if node.op == "placeholder"][-1]
    with copy.graph.inserting_after(last):
        coalition = copy.graph.placeholder("coalition")
    calls = [node for node in copy.graph.nodes if node.op == "call_module" and node.target in players]
    for node in calls:
        node.args = (*node.args, coalition)
    if hidden := sorted(set(players) - {str(node.target) for node in calls}):
        raise ValueError(f"{hidden[0]} is inside of a layer that torch.fx does not look into")
    return copy


def _players(graph: fx.GraphModule, groups: Sequence[Group]) -> dict[str, Tensor]:
    """For each layer that reads a unit, which player each of its input channels belongs to."""
    total, start = sum(len(group.ids) for group in groups), 0
    players: dict[str, Tensor] = {}
    for group in groups:
        for reader in group.readers:
            if not isinstance(graph.get_submodule(reader.layer), WRITERS):
                raise ValueError("a recurrent layer reads its units step by step")
            channels = weight_of(graph.get_submodule(reader.layer)).shape[1]
            player = players.setdefault(reader.layer, torch.full((channels,), total))
            player[reader.index] = torch.arange(start, start + len(group.ids))[:, None]
        start += len(group.ids)
    return players


def _kinds(graph: fx.GraphModule, nodes: Sequence[fx.Node], coalition: fx.Node) -> dict[fx.Node, int]:
    """How each node depends on the coalition."""
    kinds = {coalition: AFFINE}
    for node in nodes:
        varying = [n for n in node.all_input_nodes if kinds[n] != CONSTANT]
        if node is coalition or not varying:
            kinds.setdefault(node, CONSTANT)
        else:
            affine = all(kinds[n] == AFFINE for n in varying) and _is_affine(graph, node, varying)
            kinds[node] = AFFINE if affine else GENERAL
    return kinds


def _is_affine(graph: fx.GraphModule, node: fx.Node, varying: Sequence[fx.Node]) -> bool:
    """Whether the node is affine in those of its inputs that vary; a reader is in its input or in the coalition."""
    if node.op == "call_module":
        layer = graph.get_submodule(str(node.target))
        return isinstance(layer, AFFINE_LAYERS) or (isinstance(layer, Reader) and len(varying) == 1)
    return node.target in AFFINE_CALLS or (node.target in PRODUCTS and len(varying) == 1)


def _used(nodes: Iterable[fx.Node], by: Sequence[fx.Node]) -> list[fx.Node]:
    """Those of the nodes that others take as input."""
    taken = {n for user in by for n in user.all_input_nodes}
    return [node for node in nodes if node in taken]


def _part(graph: fx.GraphModule, inputs: Sequence[fx.Node], nodes: Sequence[fx.Node], result) -> fx.GraphModule:
    """The nodes as a network of its own, from the values of `inputs` to those of `result`."""
    part = fx.Graph()
    copies = {node: part.placeholder(node.name) for node in inputs}
    for node in nodes:
        if node not in copies:
            copies[node] = part.node_copy(node, copies.__getitem__)
    part.output(fx.map_arg(result, copies.__getitem__))
    return fx.GraphModule(graph, part)
