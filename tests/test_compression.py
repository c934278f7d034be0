"""Factors, codebooks and integers: exact where nothing is lost, never larger, and as close as they promise."""

import numpy as np
import onnx
import pytest
import tensorly
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save
from torch import nn

from benchmarks.exporting import Session, to_onnx
from methods.compression.low_rank import factorised
from methods.compression.quantization import dynamic, static
from methods.compression.weight_sharing import packed, shared
from methods.surgery import tensors
from tests.networks import calibrated, difference, network
from tests.sequences import sequence_network


def parameters(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


@torch.no_grad()
def of_low_rank() -> tuple[nn.Module, torch.Tensor]:
    """A network whose layers are products already: ranks (3, 4) of its convolution, 2 and 3 of its other layers."""
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(8, 12, 3, stride=2, padding=1), nn.Conv2d(12, 10, 1, stride=2), nn.Flatten(), nn.Linear(40, 9)
    )
    factors = [np.linalg.qr(np.random.default_rng(0).normal(size=shape))[0] for shape in ((12, 3), (8, 4))]
    core = np.random.default_rng(1).normal(size=(3, 4, 3, 3))
    kernel = tensorly.tenalg.multi_mode_dot(core, factors, modes=[0, 1])
    model[0].weight.copy_(torch.from_numpy(kernel))
    model[1].weight.copy_((torch.randn(10, 2) @ torch.randn(2, 12))[..., None, None])
    model[3].weight.copy_(torch.randn(9, 3) @ torch.randn(3, 40))
    return model.eval(), torch.randn(2, 8, 8, 8)


def test_a_product_is_found_again():
    model, x = of_low_rank()
    small = factorised(model, energy=1 - 1e-6)
    ranks = [small[0][1].weight.shape[:2], small[1][0].weight.shape[0], small[3][0].weight.shape[0]]
    assert ranks == [(3, 4), 2, 3]
    with torch.no_grad():
        assert difference(small(x), model(x)) < 1e-4
    assert parameters(small) < parameters(model)


@pytest.mark.parametrize("name", ["mlp", "convnet", "lenet5"])
@settings(max_examples=2)
@given(energy=st.floats(0.05, 0.99))
def test_low_rank_is_never_larger_and_grows_with_its_energy(name, energy):
    model, x, _ = network(name)
    small, larger = factorised(model, energy=energy), factorised(model, energy=(1 + energy) / 2)
    assert parameters(small) <= parameters(larger) <= parameters(model)
    with torch.no_grad():
        assert small(x).shape == model(x).shape


def test_grouped_convolutions_stay():
    model = nn.Sequential(nn.Conv2d(8, 8, 3, groups=8), nn.Conv2d(8, 8, 3, groups=2))
    assert [type(layer) for layer in factorised(model, energy=0.1)] == [nn.Conv2d, nn.Conv2d]


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 8), st.integers(0, 9), st.booleans())
def test_shared_weights_are_few_and_zeros_stay(bits, seed, sparse):
    torch.manual_seed(seed)
    layer = nn.Linear(40, 30)
    if sparse:
        nn.init.sparse_(layer.weight, 0.7)
    found = shared(layer, bits=bits)
    assert found.weight.unique().numel() <= 2**bits
    assert torch.equal(found.weight == 0, layer.weight == 0) or not sparse
    assert torch.equal(found.bias, layer.bias)


def test_more_bits_are_closer():
    layer = nn.Linear(200, 100)
    errors = [float((shared(layer, bits=bits).weight - layer.weight).norm()) for bits in range(1, 9)]
    assert errors == sorted(errors, reverse=True)
    assert errors[7] < 0.01 * layer.weight.norm()


def test_a_layer_of_few_weights_is_exact():
    layer = nn.Linear(5, 3)
    assert torch.equal(shared(layer, bits=8).weight, layer.weight)


def test_what_is_stored_is_what_was_shared():
    model, _, _ = network("convnet")
    dense, few = tensors(model), tensors(shared(model, bits=5))
    stored = packed(few)
    assert len(save(stored)) < 0.35 * len(save(packed(dense)))
    for name, tensor in few.items():
        if f"{name}.indices" in stored:
            tensor_again = stored[f"{name}.codebook"][stored[f"{name}.indices"].long()]
            assert torch.equal(tensor_again, tensor)
        else:
            assert torch.equal(stored[name], tensor)


@pytest.mark.parametrize("compress", [lambda m: factorised(m, energy=1.5), lambda m: shared(m, bits=9)])
def test_options_out_of_range_are_told(compress):
    with pytest.raises(ValueError, match="choose"):
        compress(nn.Linear(2, 2))


@pytest.mark.parametrize("quantize", [dynamic, static])
@pytest.mark.parametrize("few", [False, True])
def test_integers_are_small_and_close(quantize, few, tmp_path):
    model, x, _ = network("lenet5")
    model, x = calibrated(model, x), torch.randn(64, *x.shape[1:])
    source = to_onnx(shared(model, bits=6) if few else model, x, tmp_path / "float").path
    quantize(source, tmp_path / "int8.onnx", x)
    plain, integers = Session(source, 1), Session(tmp_path / "int8.onnx", 1)
    error = (integers(x) - plain(x)).square().mean().sqrt()
    assert 0 < error < 0.1 * plain(x).std()
    assert (tmp_path / "int8.onnx").stat().st_size < 0.45 * 4 * parameters(model)


def test_recurrent_weights_become_integers(tmp_path):
    model, x, _ = sequence_network("lstm")
    source = to_onnx(model, x, tmp_path / "float").path
    dynamic(source, tmp_path / "int8.onnx", x)
    kinds = [node.op_type for node in onnx.load(tmp_path / "int8.onnx").graph.node]
    assert kinds.count("DynamicQuantizeLSTM") == 2 and "LSTM" not in kinds
