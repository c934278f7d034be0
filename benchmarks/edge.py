"""ExecuTorch with XNNPACK: programs for the edge, each in a process of its own.

Beside engines that bring their own threads it can crash in its thread pool, and so can two of its programs.
"""

import time
from collections.abc import Sequence
from copy import deepcopy
from functools import partial
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path

import torch
from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
from executorch.exir import to_edge_transform_and_lower
from torch import Tensor, nn

from benchmarks.exporting import Form
from benchmarks.measuring import Timed
from benchmarks.records import write_whole


def to_executorch(model: nn.Module, example: Tensor, path: Path) -> Form:
    """A program (.pte) for one example at a time; larger batches are run one by one."""
    path, model = path.with_suffix(".pte"), deepcopy(model).cpu().eval()
    program = torch.export.export(model, (example[:1].cpu(),))
    lowered = to_edge_transform_and_lower(program, partitioner=[XnnpackPartitioner()]).to_executorch()
    write_whole(path, lambda partial: partial.write_bytes(lowered.buffer))
    return Form(path, partial(Remote, path), partial(Program, path))


class Program(nn.Module):
    """A program in this process: inputs (B, …) to the first output. ExecuTorch is loaded when it is opened."""

    def __init__(self, path: Path, threads: int):
        super().__init__()
        from executorch.extension.pybindings import portable_lib
        from executorch.runtime import Runtime

        portable_lib._unsafe_reset_threadpool(threads)  # sound before the first program is loaded, and only then
        self.method = Runtime.get().load_program(path).load_method("forward")

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.method.execute([one.contiguous()])[0] for one in x.split(1)])


class Remote(nn.Module):
    """A program in another process, which ends with this object. Raises ValueError for a file that is none."""

    def __init__(self, path: Path, threads: int):
        super().__init__()
        context = get_context("spawn")
        self.connection, there = context.Pipe()
        context.Process(target=_serve, args=(there, path, threads), daemon=True).start()
        there.close()
        try:
            self.connection.recv()
        except EOFError as error:
            raise ValueError(f"{path} cannot be opened by ExecuTorch: delete it to make it anew") from error

    def forward(self, x: Tensor) -> Tensor:
        return self._ask(x)[0].to(x.device)

    def timed(self, x: Tensor) -> Timed:
        """As the process itself measures it: what goes to and fro is not counted."""
        return self._ask(x)[1]

    def _ask(self, x: Tensor) -> tuple[Tensor, Timed]:
        self.connection.send(x.cpu().numpy())
        outputs, timed = self.connection.recv()
        return torch.from_numpy(outputs), timed


@torch.inference_mode()
def _serve(connection: Connection, path: Path, threads: int) -> None:
    """Run what comes until nobody is there."""
    program = Program(path, threads)
    connection.send("ready")
    while (arrays := _next(connection)) is not None:
        x = torch.from_numpy(arrays)
        start, busy = time.perf_counter(), time.thread_time()
        outputs = program(x)
        timed = Timed(time.perf_counter() - start, time.thread_time() - busy)
        connection.send((outputs.numpy(), timed))


def _next(connection: Connection) -> Sequence | None:
    try:
        return connection.recv()
    except EOFError:
        return None
