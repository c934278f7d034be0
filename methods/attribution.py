"""Attributions of the worth to what the readers of a unit see, by Captum's layer attributions."""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from captum.attr import LayerConductance, LayerDeepLift
from torch import Tensor, fx, nn
from torch.nn import functional as F

from methods.criterion import Impossible, Scores
from methods.game import Evidence, Worth
from methods.groups import Group, Slice, require_units
from methods.tracing import trace

STEPS = 50  # on the line between two outputs: as many as Captum takes between two inputs
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
    eq. 1; LayerDeepLift: Shrikumar et al. 2017, section 3.5.2 (the rescale rule), with the mean gradient of the worth
    between the outputs at zeros and those of the example, as their rule is of one input.
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
    player = _Player(model, partial(_Between.apply, worth) if method is LayerDeepLift else worth)
    size, bound = _at_once(method, batch)
    parts = list(zip(evidence.inputs.split(size), evidence.targets.split(size), strict=True))
    scores = {}
    for group in groups:
        by_reader = [torch.cat([_attributed(method, player, r, bound, *part) for part in parts]) for r in group.readers]
        scores[group.name] = aggregate(torch.stack(by_reader).sum(dim=0)).float().cpu()
    return Scores(scores, evaluations=round(player.passed / len(evidence.inputs)))


def _at_once(method: type, batch: int) -> tuple[int, dict[str, int]]:
    """How many examples are asked about at once, and Captum's bound on the points on their ways from zero.

    Few examples with many steps each, for a pass of conductance begins at the step where the last one ended.
    """
    return (batch, {}) if method is LayerDeepLift else (max(1, batch // 8), {"internal_batch_size": max(2, batch)})


class _Player(nn.Module):
    """Inputs and targets to worths, as one network, in which each use of a ReLU is a layer of its own.

    `passed` counts the examples that went through it.
    """

    def __init__(self, model: nn.Module, worth: Callable[..., Tensor]):
        super().__init__()
        graph = trace(model).graph
        if graph is None:
            raise Impossible(
                f"attributions need a network that torch.fx can trace, and {type(model).__name__} is none: choose "
                "method=taylor"
            )
        self.network, self.worth, self.passed = _one_layer_per_relu(graph), worth, 0

    def forward(self, inputs: Tensor, targets: Tensor) -> Tensor:
        self.passed += len(inputs)
        return self.worth(self.network(inputs), targets)


class _Between(torch.autograd.Function):
    """A worth of outputs, half of them at examples and half at zeros, with its mean gradient on the lines between both.

    Captum's rules are of modules: a loss would have its plain gradient, which vanishes where the network is sure. With
    this one attributions sum to the difference in worth, as those of integrated gradients do.
    """

    @staticmethod
    def forward(ctx, worth: Worth, outputs: Tensor, targets: Tensor) -> Tensor:
        ctx.worth = worth
        ctx.save_for_backward(outputs, targets)
        return worth(outputs, targets)

    @staticmethod
    def backward(ctx, gradient: Tensor):
        outputs, targets = ctx.saved_tensors
        (ends, starts), (of_each, _) = outputs.chunk(2), targets.chunk(2)
        mean = torch.zeros_like(ends)
        for step in range(STEPS):
            with torch.enable_grad():
                point = torch.lerp(starts, ends, (step + 0.5) / STEPS).requires_grad_()
                mean += torch.autograd.grad(ctx.worth(point, of_each).sum(), point)[0] / STEPS
        return None, torch.cat([mean, mean]) * gradient.reshape(-1, *[1] * (mean.dim() - 1)), None


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
