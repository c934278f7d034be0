"""Energy, where the machine counts it: Zeus reads NVML on GPUs and RAPL on x86. It is nowhere estimated."""

import logging
import time
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn

SECONDS = 2.0  # of forward passes: counters tick in milliseconds


@torch.inference_mode()
def joules(model: nn.Module, x: Tensor) -> float | None:
    """Joules of one example in batches like `x` (B, …), by all counters of the machine, its idle power included.

    None where there is no counter, or Zeus is not installed (pip install -e '.[energy]').
    """
    monitor = _monitor()
    if monitor is None:
        return None
    monitor.begin_window("passes", sync_execution=x.is_cuda)
    start, passes = time.perf_counter(), 0
    while passes == 0 or time.perf_counter() - start < SECONDS:
        model(x)
        passes += 1
    counted = _counted(monitor.end_window("passes", sync_execution=x.is_cuda))
    return sum(counted) / (passes * len(x)) if counted else None


@lru_cache
def _monitor() -> Any | None:
    """Zeus, if it is installed and finds something that counts."""
    try:
        from zeus.monitor import ZeusMonitor
    except ImportError:
        return None
    logging.getLogger("zeus").setLevel(logging.CRITICAL)  # it warns of every kind of counter that is not there
    monitor = ZeusMonitor()
    monitor.begin_window("try", sync_execution=False)
    return monitor if _counted(monitor.end_window("try", sync_execution=False)) else None


def _counted(measurement: Any) -> list[float]:
    """What each counter counted, of GPUs, processors, memory."""
    kinds = (measurement.gpu_energy, measurement.cpu_energy, measurement.dram_energy)
    return [joules for kind in kinds for joules in (kind or {}).values()]
