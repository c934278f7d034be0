"""ExecuTorch runs in a process of its own and puts out what PyTorch does."""

import pytest
import torch

pytest.importorskip("executorch", reason="the extra `edge` is not installed")

from benchmarks import measuring
from benchmarks.edge import Remote, to_executorch
from tests.networks import difference, network
from tests.test_pipeline import record_of


def test_a_program_agrees_with_pytorch_and_times_itself(tmp_path):
    model, x, _ = network("lenet5")
    program = to_executorch(model, x, tmp_path / "model").open(1)
    with torch.no_grad():
        assert difference(model(x), program(x)) < 1e-4
    samples, _ = measuring.latencies({"program": program}, x, batches=(1,), repeats=3, seconds=60)
    assert min(samples["program"]["1"]) > 0


def test_a_broken_file_is_told_in_one_line(tmp_path, capfd):
    (tmp_path / "model.pte").write_bytes(b"no program")
    with pytest.raises(ValueError, match="cannot be opened by ExecuTorch"):
        Remote(tmp_path / "model.pte", 1)


def test_it_is_an_artefact_like_others(tmp_path):
    record = record_of(tmp_path, "method=magnitude", "model=mlp", "export=executorch")
    found = {a["network"]: a for a in record["artefacts"] if a["engine"] == "executorch"}
    assert found["pruned"]["accuracy"] == record["pruned"]["accuracy"]
    assert found["pruned"]["bytes"] < found["dense"]["bytes"]
    assert found["pruned"]["peak_memory"] > 0
