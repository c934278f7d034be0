"""What a network costs: size, latency, throughput, memory."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from random import Random
from typing import Any, NamedTuple, Protocol, runtime_checkable

import torch
from safetensors.torch import save
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from methods.surgery import tensors


class Stopwatch:
    """Wall seconds by name: `with watch("recovery"): …` adds to `watch.seconds["recovery"]`; one within stops it."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self.running: list[str] = []

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        self.running.append(name)
        start = time.perf_counter()
        try:
            yield
        finally:
            taken = time.perf_counter() - start
            self.seconds[self.running.pop()] += taken
            if self.running:
                self.seconds[self.running[-1]] -= taken


def size(model: nn.Module, example: Tensor) -> dict[str, int]:
    """Parameters, non-zero parameters, MACs for one example and the bytes of its safetensors file."""
    return {
        "parameters": sum(p.numel() for p in model.parameters()),
        "nonzero_parameters": sum(int(p.count_nonzero()) for p in model.parameters()),
        "macs": macs(model, example),
        "bytes": len(save(tensors(model))),
    }


@torch.no_grad()
def macs(model: nn.Module, example: Tensor) -> int:
    """Multiply-accumulates of one example (1, …): half of what torch's FlopCounterMode counts.

    Counted on the meta device, where attention is not hidden in a fused kernel.
    """
    copy = deepcopy(model).to("meta").eval()
    with FlopCounterMode(display=False) as counter:
        copy(torch.empty_like(example[:1], device="meta"))
    return counter.get_total_flops() // 2


def sampling(config: Mapping[str, Any]) -> dict[str, Any]:
    """How `latencies` samples, of a configuration that also says with how many threads."""
    return {key: config[key] for key in ("batches", "repeats", "seconds")}


@torch.inference_mode()
def latencies(
    networks: dict[str, nn.Module], example: Tensor, batches: Sequence[int], repeats: int, seconds: float
) -> tuple[dict[str, dict[str, list[float]]], dict[str, float]]:
    """Seconds per forward pass: every sample, by network and batch size; and by batch size the contention.

    Contention is the share of the time in which others kept this thread from computing: 0 on a quiet machine.

    The networks take turns, in an order that is drawn anew for each, so that a drift of the machine meets all alike and
    nobody always follows the same one; every pass that is timed follows one that is not, and three turns warm up. A
    batch size ends after `repeats` turns, or sooner, with at least five, once `seconds` have passed.
    """
    samples: dict[str, dict[str, list[float]]] = {name: {} for name in networks}
    contention: dict[str, float] = {}
    order, shuffle = list(networks.items()), Random(0).shuffle
    for batch in batches:
        x = example[:1].expand(batch, *example.shape[1:]).contiguous()
        for _ in range(3):
            _turn(order, x, shuffle)
        turns, start = [], time.perf_counter()
        while len(turns) < repeats and (len(turns) < 5 or time.perf_counter() - start < seconds):
            turns.append(_turn(order, x, shuffle))
        for name in networks:
            samples[name][str(batch)] = [float(f"{turn[name].wall:.4g}") for turn in turns]
        taken = [timed for turn in turns for timed in turn.values()]
        contention[str(batch)] = round(1 - sum(t.busy for t in taken) / sum(t.wall for t in taken), 3)
    return samples, contention


class Timed(NamedTuple):
    """Seconds of a forward pass, and of those the ones in which its thread computed."""

    wall: float
    busy: float


@runtime_checkable
class TimesItself(Protocol):
    """What runs in another process."""

    def timed(self, x: Tensor) -> Timed: ...


def _turn(order: list[tuple[str, nn.Module]], x: Tensor, shuffle: Callable[[list], None]) -> dict[str, Timed]:
    shuffle(order)
    return {name: _timed(model.eval(), x) for name, model in order}


def _timed(model: nn.Module, x: Tensor) -> Timed:
    if x.device.type == "cuda":
        return _timed_on_gpu(model, x)
    if isinstance(model, TimesItself):
        return model.timed(x)
    model(x)  # or it would pay for the caches that another network left behind
    start, busy = time.perf_counter(), time.thread_time()
    model(x)
    return Timed(time.perf_counter() - start, time.thread_time() - busy)


def _timed_on_gpu(model: nn.Module, x: Tensor) -> Timed:
    """By the device's own clock; nobody else computes between two of its events."""
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    model(x)
    torch.cuda.synchronize(x.device)
    start.record()
    model(x)
    end.record()
    torch.cuda.synchronize(x.device)
    seconds = start.elapsed_time(end) / 1000
    return Timed(seconds, seconds)
