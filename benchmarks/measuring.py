"""What a network costs: size and latency."""

import time
from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy

import torch
from safetensors.torch import save
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from methods.surgery import tensors


class Stopwatch:
    """Wall seconds by name: `with watch("recovery"): …` adds to `watch.seconds["recovery"]`."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] += time.perf_counter() - start


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


@torch.inference_mode()
def latencies(
    networks: dict[str, nn.Module], example: Tensor, batches: Sequence[int], repeats: int, seconds: float
) -> dict[str, dict[str, list[float]]]:
    """Seconds per forward pass: every sample, by network and batch size.

    The networks take turns, in rotating order, so that a drift of the machine meets all alike; three turns warm up. A
    batch size ends after `repeats` turns, or sooner, with at least five, once `seconds` have passed.
    """
    samples: dict[str, dict[str, list[float]]] = {name: {} for name in networks}
    order = deque(networks.items())
    for batch in batches:
        x = example[:1].expand(batch, *example.shape[1:]).contiguous()
        for _ in range(3):
            _turn(order, x)
        turns, start = [], time.perf_counter()
        while len(turns) < repeats and (len(turns) < 5 or time.perf_counter() - start < seconds):
            turns.append(_turn(order, x))
        for name in networks:
            samples[name][str(batch)] = [float(f"{turn[name]:.4g}") for turn in turns]
    return samples


def _turn(order: deque[tuple[str, nn.Module]], x: Tensor) -> dict[str, float]:
    order.rotate()  # who comes first pays for cold caches
    return {name: _seconds(model.eval(), x) for name, model in order}


def _seconds(model: nn.Module, x: Tensor) -> float:
    _wait(x.device)
    start = time.perf_counter()
    model(x)
    _wait(x.device)
    return time.perf_counter() - start


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
