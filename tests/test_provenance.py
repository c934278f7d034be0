"""What a record says of the machine that made it."""

import pytest
import torch

from benchmarks import provenance


@pytest.mark.parametrize(
    ("has", "told"),
    [
        ({"avx512_vnni": True, "avx_vnni": True, "amx_int8": True}, "AVX512, VNNI, AMX"),
        ({"avx512_vnni": False, "amx_int8": False, "architecture": "x86_64"}, "AVX512"),
        ({"dot": True, "i8mm": True, "architecture": "ARM64"}, "AVX512, dot, i8mm"),
    ],
)
def test_the_instructions_are_those_of_pytorch_and_those_of_int8(monkeypatch, has, told):
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX512")
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: has)
    assert provenance.machine(torch.device("cpu"))["instructions"] == told
