"""What is shipped puts out what PyTorch does, for any number of examples, without this project."""

import json
import subprocess
import sys

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from benchmarks import memory
from benchmarks.exporting import Session, eager, to_onnx
from methods import surgery
from methods.compression.weight_sharing import shared
from tests.networks import difference, network
from tests.sequences import sequence_network
from tests.test_surgery import draw_kept

ALONE = """
import json, sys
import numpy, onnxruntime
session = onnxruntime.InferenceSession(sys.argv[1])
[outputs] = session.run(None, {session.get_inputs()[0].name: numpy.load(sys.argv[2])})
ours = [name for name in sys.modules if name.split(".")[0] in ("benchmarks", "methods", "torch")]
print(json.dumps([outputs.tolist(), ours]))
"""

SLOW = ("resnet20", "mobilenet_v2", "gru")  # layers that convnet, vit and lstm have as well
NAMES = ["vit", "lstm", *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW)]


def pruned(name: str) -> tuple[nn.Module, torch.Tensor]:
    """Half of the units of each group gone."""
    model, x, found = network(name) if name in ("resnet20", "mobilenet_v2", "lenet5") else sequence_network(name)
    return surgery.remove(model, found, draw_kept(found, 0, 0.5))[0], x


@pytest.mark.parametrize("name", NAMES)
def test_an_export_of_what_was_pruned_agrees_for_any_number_of_examples(name, tmp_path):
    model, x = pruned(name)
    form = to_onnx(model, x, tmp_path / "model")
    for examples in (1, 4):
        outputs = model(x[:examples])
        assert difference(outputs, form.open(1)(x[:examples])) < 1e-4 < outputs.std()


def test_the_file_needs_nothing_of_ours(tmp_path):
    model, x = pruned("lenet5")
    path = to_onnx(shared(model, bits=4), x, tmp_path / "model").path
    np.save(tmp_path / "x.npy", x.numpy())
    command = [sys.executable, "-c", ALONE, str(path), str(tmp_path / "x.npy")]
    outputs, ours = json.loads(subprocess.run(command, capture_output=True, check=True, cwd=tmp_path).stdout)
    assert difference(shared(model, bits=4)(x), torch.tensor(outputs)) < 1e-4
    assert ours == []


def test_shared_weights_are_stored_as_they_are_shared(tmp_path):
    model, x, _ = network("convnet")
    plain, few = (to_onnx(m, x, tmp_path / name).path for name, m in (("a", model), ("b", shared(model, bits=5))))
    assert few.stat().st_size < 0.4 * plain.stat().st_size
    assert eager(shared(model, bits=5), x, tmp_path / "c").path.stat().st_size < 0.4 * plain.stat().st_size


def test_a_file_holds_weights_and_little_else(tmp_path):
    model, x, _ = network("mlp")
    path = to_onnx(model, x, tmp_path / "model").path
    assert path.stat().st_size < 4 * sum(p.numel() for p in model.parameters()) + 3000
    assert not any(node.metadata_props or node.doc_string for node in onnx.load(path).graph.node)


def test_a_broken_file_is_told_in_one_line(tmp_path):
    (tmp_path / "model.onnx").write_bytes(b"no model")
    with pytest.raises(ValueError, match="cannot be opened by ONNX Runtime"):
        Session(tmp_path / "model.onnx", 1)


def test_what_cannot_be_exported_is_told(tmp_path):
    class Branches(nn.Module):
        def forward(self, x):
            return x if x.sum() > 0 else -x

    with pytest.raises(ValueError, match="Branches cannot be exported to ONNX"):
        to_onnx(Branches(), torch.ones(2, 3), tmp_path / "model")
    assert not list(tmp_path.iterdir())


class Square(nn.Module):
    """Outputs of the square of the inputs' size; it opens itself."""

    def __init__(self, threads: int):
        super().__init__()

    def forward(self, x):
        return x.T @ x


def test_peak_memory_grows_with_what_is_computed():
    little, much = (memory.peak(Square, torch.ones(2, n)) for n in (1000, 8000))
    assert much - little > 0.9 * 4 * (8000**2 - 1000**2)
    assert much < 2 * 4 * 8000**2 + 100_000_000
