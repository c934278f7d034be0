"""The forms in which a network is shipped, and what runs each of them."""

from collections.abc import Callable
from copy import deepcopy
from functools import partial
from pathlib import Path
from typing import NamedTuple

import onnx
import onnxruntime
import torch
from onnx import numpy_helper
from safetensors.torch import save_file
from torch import Tensor, nn

from benchmarks.records import write_whole
from methods.compression.weight_sharing import packed, pays
from methods.surgery import tensors


class Form(NamedTuple):
    """A network ready to ship: its file, if it has one, and what opens it to run on a number of threads.

    `alone` opens it in a process that has nothing else, where that is another matter.
    """

    path: Path | None
    open: Callable[[int], nn.Module]
    alone: Callable[[int], nn.Module] | None = None


def eager(model: nn.Module, example: Tensor, path: Path) -> Form:
    """PyTorch as it is; the file has the weights (safetensors), those that take few values as codebook and indices."""
    path = path.with_suffix(".safetensors")
    write_whole(path, lambda partial: save_file(packed(tensors(model)), partial))
    return Form(path, partial(_itself, model))


def _itself(model: nn.Module, threads: int) -> nn.Module:
    return model.eval()


def compiled(model: nn.Module, example: Tensor, path: Path) -> Form:
    """torch.compile, whole, at the first call; it leaves no file. A network that it cannot compile fails there."""
    return Form(None, partial(_compiled, model))


def _compiled(model: nn.Module, threads: int) -> nn.Module:
    copy = deepcopy(model.eval())  # threads are compiled in
    isolated = {"fullgraph": True, "isolate_recompiles": True}  # or the ninth of one class would stay eager in silence
    return torch.compile(copy, **isolated)  # type: ignore[return-value]


def to_onnx(model: nn.Module, example: Tensor, path: Path) -> Form:
    """An ONNX file through torch.export, for any number of examples, run by ONNX Runtime on the CPU.

    Weights that take few values are stored as a codebook and indices, which the runtime joins when it loads the file.
    Raises ValueError for a network that cannot be exported.
    """
    path, model = path.with_suffix(".onnx"), deepcopy(model).cpu().eval()
    pair = example[:1].cpu().expand(2, *example.shape[1:]).contiguous()  # a batch of one would become a constant
    anything = ({0: torch.export.Dim.DYNAMIC},)
    try:
        program = torch.onnx.export(model, (pair,), dynamo=True, dynamic_shapes=anything, verbose=False, optimize=False)
    except torch.onnx.errors.OnnxExporterError as error:
        reason = str(error).strip().splitlines()[-1]
        raise ValueError(
            f"{type(model).__name__} cannot be exported to ONNX ({reason}): leave out export=onnx"
        ) from error
    assert program is not None
    write_whole(path, lambda partial: onnx.save(_lean(program.model_proto), partial))
    return Form(path, partial(Session, path))


class Session(nn.Module):
    """An ONNX file in ONNX Runtime: inputs (B, …) to the first output. Raises ValueError for a broken file."""

    def __init__(self, path: Path, threads: int):
        super().__init__()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads, options.log_severity_level = threads, 1, 3
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # it would slow down whose turn it is
        try:
            self.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # a class of its own for each kind of damage
            raise ValueError(f"{path} cannot be opened by ONNX Runtime ({str(error).splitlines()[0]})") from error
        self.name = self.session.get_inputs()[0].name

    def forward(self, x: Tensor) -> Tensor:
        [first, *_] = self.session.run(None, {self.name: x.cpu().numpy()})
        return torch.from_numpy(first).to(x.device)


def _lean(model: onnx.ModelProto) -> onnx.ModelProto:
    """Without what only a debugger reads, and with shared weights as they are shared."""
    for thing in (model, model.graph, *model.graph.node, *model.graph.value_info, *model.graph.initializer):
        del thing.metadata_props[:]
        thing.ClearField("doc_string")
    joined = [node for tensor in list(model.graph.initializer) for node in _share(model.graph, tensor)]
    for node in reversed(joined):
        model.graph.node.insert(0, node)
    return model


def _share(graph: onnx.GraphProto, tensor: onnx.TensorProto) -> list[onnx.NodeProto]:
    """Store a tensor of few values as codebook and indices; the nodes that join them, none where it does not pay."""
    values, indices = torch.from_numpy(numpy_helper.to_array(tensor).copy()).unique(return_inverse=True)
    if tensor.data_type != onnx.TensorProto.FLOAT or not pays(indices.numel(), len(values)):
        return []
    name = tensor.name
    stored = {f"{name}.codebook": values, f"{name}.indices": indices.to(torch.uint8)}
    graph.initializer.remove(tensor)
    graph.initializer.extend(numpy_helper.from_array(part.numpy(), part_name) for part_name, part in stored.items())
    return [
        onnx.helper.make_node("Cast", [f"{name}.indices"], [f"{name}.places"], to=onnx.TensorProto.INT32),
        onnx.helper.make_node("Gather", [f"{name}.codebook", f"{name}.places"], [name]),
    ]
