"""Latency as a budget: a table of what each layer takes on this machine, at widths between a few channels and all."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.benchmark import Timer

from methods.groups import LAST, NORMS, Group, evaluation, is_depthwise
from methods.shrinkage import Shrinkage, channels, layers_of

FRACTIONS = (0.125, 0.25, 0.5, 0.75, 1.0)  # of a layer's channels, at which it is timed
OF_RECURRENT = ("num_layers", "batch_first", "bidirectional")  # beside their widths
SECONDS = 0.02  # of timing at each width

Measured = dict[str, list[list[float]]]  # milliseconds of a layer at an input's shape: by width out, by width in


def latency(
    model: nn.Module, groups: Sequence[Group], example: Tensor, table: Measured | None = None
) -> Callable[[np.ndarray], float]:
    """Milliseconds of one example by the units (groups,) that are left: the sum over convolutions, linear and recurrent
    layers, each timed at a few widths and interpolated between them.

    A wider layer is taken to be no faster than a narrower one, so that the cost falls with every unit. What lies
    between these layers is left out. What is in `table` is not measured again, and what is measured is put into it.
    """
    known = {} if table is None else table
    shapes = _input_shapes(model, example[:1])
    layers = layers_of(model)
    grids = [_grid(layer, shapes[name], known) if name in shapes else None for name, layer in layers.items()]
    shrinkage = Shrinkage.of(layers, groups)

    def milliseconds(counts: np.ndarray) -> float:
        outs, ins = shrinkage(counts)
        return sum(_at(grid, out, into) for grid, out, into in zip(grids, outs, ins, strict=True) if grid is not None)

    return milliseconds


def _input_shapes(model: nn.Module, example: Tensor) -> dict[str, torch.Size]:
    """What each layer with a matrix takes in for one example."""
    shapes: dict[str, torch.Size] = {}

    def seen(name: str) -> Callable:
        def hook(layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            shapes[name] = inputs[0].shape

        return hook

    with ExitStack() as hooks, torch.no_grad(), evaluation(model):
        for name, layer in layers_of(model).items():
            if not isinstance(layer, NORMS):
                hooks.callback(layer.register_forward_pre_hook(seen(name)).remove)
        model(example)
    return shapes


def _grid(layer: nn.Module, shape: torch.Size, known: Measured) -> np.ndarray:
    """Milliseconds (outs, ins) at the FRACTIONS of both widths, as they were measured or are measured now."""
    key = f"{layer} on {tuple(shape)}"
    if key not in known:
        known[key] = [[_milliseconds(layer, shape, out, into) for into in FRACTIONS] for out in FRACTIONS]
    return np.maximum.accumulate(np.maximum.accumulate(np.array(known[key]), axis=0), axis=1)


def _at(grid: np.ndarray, out: float, into: float) -> float:
    """Bilinear interpolation; below the smallest width it is that of the smallest."""
    by_out = [np.interp(into, FRACTIONS, row) for row in grid]
    return float(np.interp(out, FRACTIONS, by_out))


@torch.inference_mode()
def _milliseconds(layer: nn.Module, shape: torch.Size, out: float, into: float) -> float:
    """The median of a layer that has these fractions of its channels."""
    outs, ins = (max(1, round(share * channels(layer, side))) for side, share in ((0, out), (1, into)))
    narrow, x = _narrow(layer, shape, outs, ins)
    timer = Timer("narrow(x)", globals={"narrow": narrow, "x": x}, num_threads=torch.get_num_threads())
    return float(f"{1000 * timer.blocked_autorange(min_run_time=SECONDS).median:.4g}")


def _narrow(layer: nn.Module, shape: torch.Size, outs: int, ins: int) -> tuple[nn.Module, Tensor]:
    """A layer of that kind with `outs` and `ins` channels, and an input for it."""
    device = next(layer.parameters()).device
    if isinstance(layer, LAST):
        of_recurrent = {name: getattr(layer, name) for name in OF_RECURRENT if hasattr(layer, name)}
        narrow = type(layer)(ins, outs, device=device, **of_recurrent)
        return narrow.eval(), torch.randn(*shape[:-1], ins, device=device)
    kind = {name: getattr(layer, name) for name in ("kernel_size", "stride", "padding", "dilation", "groups")}
    if is_depthwise(layer):
        ins = kind["groups"] = outs
    elif kind["groups"] > 1:  # grouped ones keep their widths
        ins, outs = layer.in_channels, layer.out_channels  # type: ignore[assignment]
    same = type(layer)(ins, outs, bias=layer.bias is not None, device=device, **kind)
    return same.eval(), torch.randn(shape[0], ins, *shape[2:], device=device)
