"""Recurrent layers, whose hidden units are read by the layer itself as well as by those behind it."""

from collections.abc import Callable, Iterator
from copy import deepcopy

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from methods.criterion import Impossible

RECURRENT = (nn.LSTM, nn.GRU, nn.RNN, nn.LSTMCell, nn.GRUCell, nn.RNNCell)
WEIGHTS = {"in": "weight_ih_l0", "hidden": "weight_hh_l0"}  # what reads a unit, by the side it is read from
BIASES = ("bias_ih_l0", "bias_hh_l0")


def is_prunable(layer: object) -> bool:
    """Whether single hidden units can leave: an LSTM or a GRU of one layer, in one direction, without a projection."""
    return isinstance(layer, nn.LSTM | nn.GRU) and not (layer.num_layers > 1 or layer.bidirectional or layer.proj_size)


STAND_IN = ".stand_in"  # what follows a recurrent layer's name, in the names of what stands in for it


class _StandIn(nn.Module):
    """A linear layer with the inputs and outputs of a recurrent one, for tracing what is coupled with what.

    The units of a state that is handed over are those that it was made of; a LayerNorm closes them if it is constant.
    """

    def __init__(self, layer: nn.LSTM | nn.GRU):
        super().__init__()
        self.stand_in = nn.Linear(layer.input_size, layer.hidden_size)
        self.stand_in_closed = nn.LayerNorm(layer.hidden_size)
        self.time, self.pair = int(layer.batch_first), isinstance(layer, nn.LSTM)

    def forward(self, x: Tensor, state: Tensor | tuple[Tensor, ...] | None = None) -> tuple[Tensor, object]:
        outputs, states = self.stand_in(_unpacked(x)), list(_states(state))
        for one in states:
            outputs = outputs + one[0].unsqueeze(self.time)
        if not all(one.requires_grad for one in states):  # nobody would shrink a state of constants
            outputs = self.stand_in_closed(outputs)
        last = outputs.select(self.time, -1)[None]
        return outputs, ((last, last) if self.pair else last)


class _Whole(nn.Module):
    """The same for a layer whose units have to stay: LayerNorms close the axes of all that it reads and makes."""

    def __init__(self, layer: nn.RNNBase | nn.RNNCellBase):
        super().__init__()
        directions = 2 if getattr(layer, "bidirectional", False) else 1
        made = getattr(layer, "proj_size", 0) or layer.hidden_size
        widths = (made, layer.hidden_size)  # of the states
        self.stand_in = _closed(layer.input_size, made * directions)
        self.stand_in_closed = nn.LayerNorm(made * directions)
        self.stand_in_read = nn.ModuleList(_closed(width, made * directions) for width in widths)
        self.stand_in_made = nn.ModuleList(_closed(made * directions, width) for width in widths)
        self.states = 2 if isinstance(layer, nn.LSTM | nn.LSTMCell) else 1
        self.layers = directions * layer.num_layers if isinstance(layer, nn.RNNBase) else None
        self.time = int(getattr(layer, "batch_first", False))

    def forward(self, x: Tensor, state: Tensor | tuple[Tensor, ...] | None = None) -> object:
        outputs = self.stand_in(_unpacked(x))
        for read, one in zip(self.stand_in_read, _states(state), strict=False):
            outputs = outputs + (read(one[0]).unsqueeze(self.time) if self.layers else read(one))
        outputs = self.stand_in_closed(outputs)
        end = outputs.select(self.time, -1) if self.layers else outputs
        last = [make(end) for make in self.stand_in_made[: self.states]]
        if self.layers:
            last = [one.expand(self.layers, -1, -1) for one in last]
        given = tuple(last) if self.states > 1 else last[0]
        return (outputs, given) if self.layers else given


def _closed(inputs: int, outputs: int) -> nn.Module:
    return nn.Sequential(nn.LayerNorm(inputs), nn.Linear(inputs, outputs), nn.LayerNorm(outputs))


def _unpacked(x: object) -> Tensor:
    if not isinstance(x, Tensor):
        raise Impossible("packed sequences have no units to leave out: pad texts on the left and pass a tensor")
    return x


def _states(state: Tensor | tuple[Tensor, ...] | None) -> Iterator[Tensor]:
    yield from () if state is None else state if isinstance(state, tuple) else (state,)


def with_stand_ins(model: nn.Module) -> nn.Module:
    """`model`, or where it has recurrent layers a copy with a linear layer in the place of each."""
    names = [name for name, layer in model.named_modules() if isinstance(layer, RECURRENT)]
    copy = deepcopy(model) if names else model
    for name in names:
        layer = model.get_submodule(name)
        copy.set_submodule(name, (_StandIn if is_prunable(layer) else _Whole)(layer))  # type: ignore[arg-type]
    return copy.to(next(model.parameters()).device)


def masking(layer: nn.LSTM | nn.GRU, mask: Tensor) -> Callable:
    """The forward pass of `layer`, in which it reads its own units multiplied by a mask (hidden,) or (B, hidden).

    A loop over time, for torch's kernels do not let one in; it has a derivative by the mask.
    """
    step = _lstm_step if isinstance(layer, nn.LSTM) else _gru_step
    biases = [layer.get_parameter(name) for name in BIASES] if layer.bias else [None, None]
    written, recurrence = zip(map(layer.get_parameter, WEIGHTS.values()), biases, strict=True)

    def forward(x: Tensor, state=None) -> tuple[Tensor, object]:
        steps = F.linear(x, *written).unbind(int(layer.batch_first))
        hidden = cell = steps[0].new_zeros(len(steps[0]), layer.hidden_size)
        if state is not None:
            hidden, cell = (s[0] for s in state) if isinstance(layer, nn.LSTM) else (state[0], cell)
        outputs = []
        for gates in steps:
            read = F.linear(hidden * mask.to(hidden), *recurrence)
            hidden, cell = step(gates, read, hidden, cell)
            outputs.append(hidden)
        last = (hidden[None], cell[None]) if isinstance(layer, nn.LSTM) else hidden[None]
        return torch.stack(outputs, dim=int(layer.batch_first)), last

    return forward


def _lstm_step(gates: Tensor, read: Tensor, hidden: Tensor, cell: Tensor) -> tuple[Tensor, Tensor]:
    """Hochreiter & Schmidhuber 1997, with the gates in torch's order."""
    admit, forget, new, show = (gates + read).chunk(4, dim=1)
    cell = forget.sigmoid() * cell + admit.sigmoid() * new.tanh()
    return show.sigmoid() * cell.tanh(), cell


def _gru_step(gates: Tensor, read: Tensor, hidden: Tensor, cell: Tensor) -> tuple[Tensor, Tensor]:
    """Cho et al. 2014, with the gates in torch's order."""
    (reset, update, new), (reset_read, update_read, new_read) = gates.chunk(3, dim=1), read.chunk(3, dim=1)
    keep = (update + update_read).sigmoid()
    new = (new + (reset + reset_read).sigmoid() * new_read).tanh()
    return (1 - keep) * new + keep * hidden, cell


@torch.no_grad()
def remove(layer: nn.LSTM | nn.GRU, side: str, alive: Tensor) -> None:
    """Keep, in place, the units in `alive` (channels,) of what the layer writes ("out") or reads ("in", "hidden")."""
    if side == "out":
        for name in (*WEIGHTS.values(), *(BIASES if layer.bias else ())):
            rows = getattr(layer, name).unflatten(0, (-1, layer.hidden_size))
            setattr(layer, name, nn.Parameter(rows[:, alive].flatten(0, 1)))
        layer.hidden_size = int(alive.sum())
    else:
        columns = getattr(layer, WEIGHTS[side])[:, alive]
        setattr(layer, WEIGHTS[side], nn.Parameter(columns.contiguous()))
        if side == "in":
            layer.input_size = int(alive.sum())


def by_unit(tensor: Tensor, hidden: int) -> Tensor:
    """A weight (gates · hidden, d) as (hidden, gates · d): what writes each unit."""
    return tensor.unflatten(0, (-1, hidden)).transpose(0, 1).flatten(1)
