"""Attributions of the worth to what the readers of a unit see, by Captum's layer attributions."""

from collections.abc import Callable, Sequence

import torch
from captum.attr import LayerConductance, LayerDeepLift
from torch import Tensor, fx, nn
from torch.nn import functional as F

from methods.criterion import Impossible, Scores
from methods.game import Evidence, Worth
from methods.groups import Group, Slice, require_units
from methods.tracing import trace

RELU = {F.relu, F.relu_, torch.relu, torch.relu_, "relu", "relu_"}


def attribution(
    model: nn.Module,
    groups: Sequence[Group],
    evidence: Evidence,
    seed: int = 0,
    *,
    worth: Worth,
    aggregate: Callable[[Tensor], Tensor],
    method: type,
    batch: int = 32,
) -> Scores:
    """What `method`, one of captum.attr's layer attributions, ascribes to each unit, against an input of zeros.

    Sums over the unit's channels, their positions and its readers, for each example, then the aggregate.
    LayerConductance: Dhamdhere et al. 2019, total conductance; LayerIntegratedGradients: Sundararajan et al. 2017,
    eq. 1; LayerDeepLift: Shrikumar et al. 2017, section 3.5.2 (the rescale rule).
    `batch` bounds the points that pass the network at once: examples at steps of their way from zero.
    Raises ValueError for a network that cannot be traced, as rules for single layers need each ReLU to be one;
    for conductance of tokens; for layers that read their own past.
    """
    require_units(groups)
    if any(reader.side == "hidden" for group in groups for reader in group.readers):
        raise Impossible("attributions have no rule for what a recurrent layer reads of itself: choose method=taylor")
    if method is LayerConductance and not evidence.inputs.is_floating_point():
        raise Impossible(
            "conductance follows a line of inputs, and tokens have none: choose method=integrated_gradients"
        )
    player = _Player(model, worth)
    size, bound = _at_once(method, batch)
    parts = list(zip(evidence.inputs.split(size), evidence.targets.split(size), strict=True))
    scores = {}
    for group in groups:
        by_reader = [torch.cat([_attributed(method, player, r, bound, *part) for part in parts]) for r in group.readers]
        scores[group.name] = aggregate(torch.stack(by_reader).sum(dim=0)).float().cpu()
    return Scores(scores, evaluations=sum(len(group.readers) for group in groups))


def _at_once(method: type, batch: int) -> tuple[int, dict[str, int]]:
    """How many examples are asked about at once, and Captum's bound on the points on their ways from zero.

    Few examples with many steps each, for a pass of conductance begins at the step where the last one ended.
    """
    return (batch, {}) if method is LayerDeepLift else (max(1, batch // 8), {"internal_batch_size": max(2, batch)})


class _Player(nn.Module):
    """Inputs and targets to worths, as one network, in which each use of a ReLU is a layer of its own."""

    def __init__(self, model: nn.Module, worth: Worth):
        super().__init__()
        graph = trace(model).graph
        if graph is None:
            raise Impossible(
                f"attributions need a network that torch.fx can trace, and {type(model).__name__} is none: choose "
                "method=taylor"
            )
        self.network, self.worth = _one_layer_per_relu(graph), worth

    def forward(self, inputs: Tensor, targets: Tensor) -> Tensor:
        return self.worth(self.network(inputs), targets)


def _one_layer_per_relu(graph: fx.GraphModule) -> fx.GraphModule:
    for i, node in enumerate(list(graph.graph.nodes)):
        layer = graph.get_submodule(str(node.target)) if node.op == "call_module" else None
        if isinstance(layer, nn.ReLU) or node.target in RELU:
            graph.add_submodule(f"relu_of_node_{i}", nn.ReLU())
            with graph.graph.inserting_before(node):
                own = graph.graph.call_module(f"relu_of_node_{i}", (node.args[0],))
            node.replace_all_uses_with(own)
            graph.graph.erase_node(node)
    graph.recompile()
    return graph


def _attributed(
    method: type, player: _Player, reader: Slice, bound: dict[str, int], inputs: Tensor, targets: Tensor
) -> Tensor:
    """For each example (B, n)."""
    layer = player.network.get_submodule(reader.layer)
    found = method(player, layer).attribute(
        inputs, additional_forward_args=(targets,), attribute_to_layer_input=True, **bound
    )
    found = found[0] if isinstance(found, tuple) else found
    channels = found.movedim(-1, 1) if isinstance(layer, nn.Linear) else found
    return channels.detach()[:, reader.index.to(found.device)].flatten(2).sum(dim=2)
