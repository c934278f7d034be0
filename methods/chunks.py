"""Examples and coalitions in chunks: as large as is fast, as small as the memory asks for."""

import weakref
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from methods.forward import InParts, Plain

CACHE = 4 * 2**20  # bytes of the largest tensor in a pass: beyond, a CPU waits for its memory

Forward = Plain | InParts


class Chunks:
    """A forward pass for each chunk of the inputs, made by `make(inputs, keep)`; as many are kept as fit.

    A quarter of the `memory` bytes is for what one pass holds at a time, a quarter for what making one holds, half for
    what is kept. `rows` bounds the pairs of an example and a coalition in a pass. Raises ValueError when not even one
    pair fits.
    """

    def __init__(self, make: Callable[[Tensor, bool], Forward], inputs: Tensor, empty: Tensor, memory: float):
        making, one, largest, kept_bytes = _measure(make, inputs[:1], empty)
        if max(making, one) > memory / 4:
            need, given = 4 * max(making, one) / 2**20, memory / 2**20
            raise ValueError(f"memory={given:.0f} MiB is too little for one example: give {need:.0f} MiB or more")
        fast = CACHE // largest if inputs.device.type == "cpu" else len(inputs) * len(empty)
        self.rows = max(1, min(fast, int(memory / 4 // one)))
        self.chunks = inputs.split(max(1, min(self.rows, int(memory / 4 // making))))
        self.make = make
        affordable = int(memory / 2 // (kept_bytes * len(self.chunks[0])))
        self.kept = [make(chunk, True) for chunk in self.chunks[:affordable]]

    def __iter__(self) -> Iterator[Forward]:
        """Those that are kept, then those that are made anew each time."""
        yield from self.kept
        for chunk in self.chunks[len(self.kept) :]:
            yield self.make(chunk, False)

    def split(self, targets: Tensor) -> Sequence[Tensor]:
        """Targets (N, …) by chunk."""
        return targets.split(len(self.chunks[0]))


class Footprint(TorchDispatchMode):
    """Within the context: the most bytes that the results of operations held at a time, and the largest result."""

    def __init__(self):
        super().__init__()
        self.live, self.peak, self.largest = 0, 1, 1

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        result = operation(*args, **(kwargs or {}))
        given = {t.untyped_storage().data_ptr() for t in args if isinstance(t, Tensor)}
        for tensor in result if isinstance(result, tuple | list) else [result]:
            if isinstance(tensor, Tensor) and tensor.untyped_storage().data_ptr() not in given:
                self._count(tensor, tensor.nbytes)
        return result

    def _count(self, tensor: Tensor, size: int) -> None:
        self._change(size)
        weakref.finalize(tensor, self._change, -size)
        self.peak, self.largest = max(self.peak, self.live), max(self.largest, size)

    def _change(self, size: int) -> None:
        self.live += size


def _measure(make: Callable[[Tensor, bool], Forward], example: Tensor, empty: Tensor) -> tuple[int, int, int, int]:
    """Bytes for one example: held in making a forward pass, in the pass, in its largest tensor, and kept between."""
    with Footprint() as making:
        forward = make(example, False)
    with Footprint() as passing:
        outputs = list(forward(torch.ones_like(empty)[None], 1))
    del outputs
    return making.peak, passing.peak, passing.largest, max(1, forward.kept_bytes)
