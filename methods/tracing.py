"""The graph of a network, made fit for being computed in parts."""

import warnings
from copy import deepcopy
from typing import NamedTuple

import torch
from torch import Tensor, fx, nn
from torch.fx.experimental.optimization import fuse
from torch.nn import functional as F


class Traced(NamedTuple):
    """A network in eval mode, and its graph with BatchNorm folded into convolutions; None where it has none."""

    model: nn.Module
    graph: fx.GraphModule | None


def trace(model: nn.Module) -> Traced:
    """A copy of `model` in eval mode, with its graph where `torch.fx` can trace it; warns where it cannot."""
    model = deepcopy(model).eval()
    try:
        return Traced(model, _graph(model))
    except Exception as error:  # tracing runs the network's own code on stand-ins: it can raise anything
        untraceable(model, error)
        return Traced(model, None)


def untraceable(model: nn.Module, reason: object) -> None:
    """Say that the games of `model` are played on plain forward passes, and why."""
    first = (str(reason).splitlines() or [type(reason).__name__])[0]
    warnings.warn(f"every coalition of {type(model).__name__} is a forward pass of its own: {first}", stacklevel=3)


def _graph(model: nn.Module) -> fx.GraphModule:
    graph = fuse(model)
    assert isinstance(graph, fx.GraphModule)
    _change_nothing_in_place(graph)
    _pool_by_means(graph)
    if all(parameter.device.type == "cpu" for parameter in graph.parameters()):
        graph.to(memory_format=torch.channels_last)  # up to twice as fast on a CPU; activations follow the weights
    graph.recompile()
    return graph


def _change_nothing_in_place(graph: fx.GraphModule) -> None:
    """Parts can then be computed at different times; no view asks for a layout either."""
    for node in graph.graph.nodes:
        if node.target == "view":
            node.target = "reshape"
        if _is_in_place(graph, node):
            changed = node.all_input_nodes[0]
            for user in [user for user in changed.users if user > node]:
                user.replace_input_with(changed, node)
            node.kwargs = {name: value for name, value in node.kwargs.items() if name != "inplace"}
    for module in graph.modules():
        if hasattr(module, "inplace"):
            setattr(module, "inplace", False)  # noqa: B010 (not an attribute of every module)


def _is_in_place(graph: fx.GraphModule, node: fx.Node) -> bool:
    layer = graph.get_submodule(str(node.target)) if node.op == "call_module" else None
    return bool(node.kwargs.get("inplace") or getattr(layer, "inplace", False))


def _pool_by_means(graph: fx.GraphModule) -> None:
    """Global average pooling as a mean: pooling with channels last has no rule for coalitions side by side (vmap)."""
    for node in graph.graph.nodes:
        if _is_global_pooling(graph, node):
            with graph.graph.inserting_before(node):
                mean = graph.graph.call_function(torch.mean, (node.args[0], (-2, -1), True))
            node.replace_all_uses_with(mean)
            graph.graph.erase_node(node)


def batchable(graph: fx.GraphModule) -> fx.GraphModule:
    """The graph, changed in place, with attention as products: fused kernels cannot take coalitions side by side."""
    for node in graph.graph.nodes:
        if node.target is F.scaled_dot_product_attention:
            node.target = _attention
    graph.recompile()
    return graph


def _attention(
    q: Tensor, k: Tensor, v: Tensor, attn_mask: Tensor | None = None, dropout_p: float = 0.0, is_causal: bool = False
) -> Tensor:
    """F.scaled_dot_product_attention in eval mode, for a mask of numbers."""
    logits = q @ k.transpose(-2, -1) * q.shape[-1] ** -0.5
    if attn_mask is not None:
        logits = logits + attn_mask
    if is_causal:
        later = torch.ones(logits.shape[-2:], dtype=torch.bool, device=q.device).triu(1)
        logits = logits.masked_fill(later, -torch.inf)
    return logits.softmax(dim=-1) @ v


def _is_global_pooling(graph: fx.GraphModule, node: fx.Node) -> bool:
    if node.op == "call_module":
        layer = graph.get_submodule(str(node.target))
        return isinstance(layer, nn.AdaptiveAvgPool2d) and layer.output_size in (1, (1, 1))
    return node.target is F.adaptive_avg_pool2d and node.args[1] in (1, (1, 1))
