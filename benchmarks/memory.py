"""The memory that a forward pass takes at its peak: on the CPU, in a process of its own."""

import pickle
import re
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import torch
from torch import Tensor, nn

from benchmarks import exporting  # noqa: F401 (all engines are loaded before memory is counted)

STATUS, RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def peak(open: Callable[[int], nn.Module], x: Tensor) -> int | None:
    """Bytes that what `open` opens and its first forward pass on `x` take, beside the engines and what loading wastes.

    None where the system does not tell (it is Linux that does).
    """
    if not RESET.exists():
        return None
    context = get_context("forkserver")  # of a process that has loaded the engines and used none of them
    context.set_forkserver_preload([__name__])
    with ProcessPoolExecutor(1, mp_context=context) as process:
        return process.submit(_peak, pickle.dumps((open, x.cpu()))).result()


@torch.inference_mode()
def peak_on_gpu(model: nn.Module, x: Tensor) -> int:
    """Bytes of a GPU's memory that are in use at the peak of a forward pass on `x`, the weights included."""
    torch.cuda.reset_peak_memory_stats(x.device)
    before = torch.cuda.memory_allocated(x.device)
    model(x)
    weights = sum(tensor.nbytes for tensor in (*model.parameters(), *model.buffers()))
    return torch.cuda.max_memory_allocated(x.device) - before + weights


@torch.inference_mode()
def _peak(pickled: bytes) -> int:
    torch.set_num_threads(1)
    before = _bytes("VmRSS")
    open, x = pickle.loads(pickled)
    model = open(1)
    RESET.write_text("5")  # the peak starts anew from what is in use now
    model(x)
    return _bytes("VmHWM") - before


def _bytes(what: str) -> int:
    found = re.search(rf"{what}:\s+(\d+) kB", STATUS.read_text())
    assert found
    return 1024 * int(found[1])
