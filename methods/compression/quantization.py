"""int8, in an ONNX file, by ONNX Runtime's own tools (Jacob et al. 2018; torch's are deprecated or slower on CPUs)."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx
from onnxruntime import quantization
from onnxruntime.quantization import QuantType
from onnxruntime.quantization.shape_inference import quant_pre_process
from onnxscript import optimizer
from torch import Tensor

ANY = 2**40  # bytes


def dynamic(source: Path, target: Path, inputs: Tensor) -> None:
    """Weights as int8; activations are quantized as they come, by their own range: nothing is calibrated."""
    with _prepared(source) as prepared:
        quantization.quantize_dynamic(
            prepared, target, weight_type=QuantType.QInt8, per_channel=True, reduce_range=saturates()
        )


def static(source: Path, target: Path, inputs: Tensor) -> None:
    """Weights as int8 and activations as uint8, with ranges that the calibration `inputs` (N, …) showed."""
    with _prepared(source) as prepared:
        name = onnx.load(prepared).graph.input[0].name
        quantization.quantize_static(
            prepared,
            target,
            _Calibration(name, inputs.cpu().numpy()),
            quant_format=quantization.QuantFormat.QDQ,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            per_channel=True,
            reduce_range=saturates(),
        )


@contextmanager
def _prepared(source: Path) -> Iterator[Path]:
    """The file with BatchNorms and all that is constant folded, shared weights joined and shapes inferred."""
    with TemporaryDirectory() as folder:
        folded, path = Path(folder, "folded.onnx"), Path(folder, "prepared.onnx")
        # of any size, or the weights of an LSTM would still be put in order at run time, where nobody quantizes them
        onnx.save(optimizer.optimize(onnx.load(source), input_size_limit=ANY, output_size_limit=ANY), folded)
        quant_pre_process(folded, path, skip_symbolic_shape=True)
        yield path


class _Calibration(quantization.CalibrationDataReader):
    """Batches of 32, as ONNX Runtime asks for them."""

    def __init__(self, name: str, inputs: np.ndarray):
        batches = np.array_split(inputs, max(1, len(inputs) // 32))
        self.batches: Iterator[dict[str, np.ndarray]] = iter([{name: batch} for batch in batches])

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self.batches, None)


def saturates() -> bool:
    """Whether this processor adds products of 8-bit numbers in 16 bits, where they overflow: so, one bit less.

    x86 without VNNI does, in silence; other processors do not.
    """
    try:
        flags = Path("/proc/cpuinfo").read_text()
    except OSError:
        return False
    return "avx2" in flags and "vnni" not in flags
