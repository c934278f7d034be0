"""From pruned to shipped: stages in order, files as they are, checked, and rejected where too much is lost."""

import json

import pytest
import torch
from torch import nn

from benchmarks import deployment, exporting
from benchmarks.exporting import Form, Session
from benchmarks.preparation import prepare
from tests.test_pipeline import record_of

SMALL = ["method=magnitude", "model=lenet5", "dataset.size=16"]
ALL = "compression=[low_rank,weight_sharing,int8_static]"


@pytest.fixture(scope="module")
def shipped(tmp_path_factory):
    """A record with every stage, and where its files are."""
    folder = tmp_path_factory.mktemp("shipped")
    record = record_of(folder, *SMALL, ALL, "export=onnx", "latency.threads=[1,2]")
    return record, folder / "cache" / "artefacts" / record["id"]


def row(record: dict, network: str, engine: str) -> dict:
    [found] = [a for a in record["artefacts"] if (a["network"], a["engine"]) == (network, engine)]
    return found


def test_stages_follow_each_other_in_every_form(shipped):
    record, _ = shipped
    json.dumps(record, allow_nan=False)
    assert [(a["network"], a["engine"]) for a in record["artefacts"]] == [
        *((name, "eager") for name in ("dense", "control", "pruned", "low_rank", "weight_sharing")),
        *((name, "onnx") for name in ("dense", "control", "weight_sharing", "int8_static")),
    ]


def test_a_row_is_of_the_file(shipped):
    record, folder = shipped
    assert row(record, "dense", "onnx")["bytes"] == (folder / "dense.onnx").stat().st_size
    for network, file in (("weight_sharing", "weight_sharing.onnx"), ("int8_static", "int8_static.onnx")):
        setup = prepare(record["config"])
        measured = setup.task.evaluate(Session(folder / file, 1), setup.data.test)
        assert row(record, network, "onnx")["accuracy"] == measured["accuracy"]
        assert row(record, network, "onnx")["bytes"] == (folder / file).stat().st_size
    assert not list(folder.glob("*.partial"))


def test_an_export_says_what_pytorch_says(shipped):
    record, _ = shipped
    for name in ("dense", "weight_sharing"):
        assert row(record, name, "onnx")["loss"] == pytest.approx(row(record, name, "eager")["loss"], rel=1e-4)
        assert row(record, name, "onnx")["difference"] < 1e-4
    assert row(record, "int8_static", "onnx")["difference"] > 1e-4
    assert row(record, "pruned", "eager")["loss"] == record["pruned"]["loss"]


def test_every_stage_is_smaller_than_the_one_before(shipped):
    record, _ = shipped
    sizes = [row(record, name, "eager")["coded_bytes"] for name in ("dense", "pruned", "low_rank", "weight_sharing")]
    assert sizes == sorted(sizes, reverse=True)
    assert (
        row(record, "low_rank", "eager")["macs"] <= row(record, "pruned", "eager")["macs"] == record["pruned"]["macs"]
    )


def test_all_are_timed_by_threads_and_batch(shipped):
    record, _ = shipped
    for artefact in record["artefacts"]:
        assert set(artefact["latency"]) == {"1", "2"}
        assert all(len(by_batch["1"]) == 2 for by_batch in artefact["latency"].values())
        assert artefact["network"] == "control" or artefact["peak_memory"] > 0
    assert torch.get_num_threads() == 1


def test_an_export_that_disagrees_fails_the_run(tmp_path, monkeypatch):
    class Wrong(nn.Module):
        def forward(self, x):
            return torch.randn(len(x), 10)

    def wrong(model, example, path):
        return Form(None, lambda threads: Wrong())

    monkeypatch.setattr(exporting, "to_onnx", wrong)
    with pytest.raises(ValueError, match="onnx of dense differs from PyTorch by"):
        record_of(tmp_path, *SMALL, "export=onnx")


def test_not_a_number_is_no_agreement():
    def form(value):
        return Form(None, lambda threads: lambda x: x * value)

    with pytest.raises(ValueError, match="differs from PyTorch by nan"):
        deployment._agreeing(nn.Identity(), form(float("nan")), torch.randn(4, 3), "it")
    assert deployment._agreeing(nn.Identity(), form(1 + 1e-6), torch.randn(4, 3), "it") < 1e-4


@pytest.mark.parametrize(
    ("overrides", "error"),
    [
        (["compression=int8_static"], "works on ONNX files: add export=onnx"),
        (["compression=[int8_static,low_rank]", "export=onnx"], "put the int8 stages last"),
        (["compression=weight_sharing", "compression.weight_sharing.network.bits=9"], "choose 1 to 8"),
        (["compression=low_rank", "compression.low_rank.network.energy=2"], "choose one between 0 and 1"),
    ],
)
def test_mistakes_are_told_before_training(overrides, error, tmp_path):
    with pytest.raises(ValueError, match=error):
        record_of(tmp_path, *SMALL, *overrides)
    assert not (tmp_path / "cache" / "dense").exists()


def test_who_loses_too_much_recovers_again_and_is_rejected_if_that_is_not_enough(tmp_path):
    strict = record_of(tmp_path, *SMALL, "keep=0.05", "accept.drop=-2", "accept.rounds=2")["acceptance"]
    assert (strict["accepted"], strict["extra_recoveries"]) == (False, 2)
    lenient = record_of(tmp_path, *SMALL, "keep=0.05", "accept.drop=1")["acceptance"]
    assert (lenient["accepted"], lenient["extra_recoveries"]) == (True, 0)
    assert record_of(tmp_path, *SMALL, "keep=0.05")["acceptance"] is None


@pytest.mark.parametrize("how", [["schedule=gradual", "schedule.end=1"], ["method=narrow"]])
def test_the_final_network_gets_the_recoveries_that_it_needs(how, tmp_path):
    accepted = record_of(tmp_path, *SMALL, "keep=0.05", "accept.drop=-2", "accept.rounds=1", *how)["acceptance"]
    assert accepted["extra_recoveries"] == 1


def test_a_loss_of_what_may_be_lost_is_accepted(tmp_path):
    record = record_of(tmp_path, *SMALL, "keep=0.05")
    lost = record["recovery"]["dense"] - record["rounds"][-1]["after"]
    again = record_of(tmp_path, *SMALL, "keep=0.05", f"accept.drop={lost - 1e-12:.15f}")
    assert again["acceptance"]["accepted"] and not again["acceptance"]["extra_recoveries"]


def test_more_recovery_is_more_training(tmp_path):
    once, again = (
        record_of(tmp_path, *SMALL, "keep=0.3", f"accept.drop={drop}", "accept.rounds=4") for drop in (1, -2)
    )
    assert again["rounds"][-1]["before"] == once["rounds"][-1]["before"]
    assert again["pruned"]["loss"] < once["pruned"]["loss"]


@pytest.mark.slow
def test_what_is_compiled_is_shipped_without_a_file(tmp_path):
    record = record_of(tmp_path, *SMALL, "export=compile", "latency.threads=[1,2]", "latency.batches=[1,4]")
    for name in ("dense", "control", "pruned"):
        compiled = row(record, name, "compile")
        assert compiled["difference"] < 1e-4 and {"1", "4"} < set(compiled["latency"]["2"])
        assert "bytes" not in compiled
    assert row(record, "pruned", "compile")["accuracy"] == row(record, "pruned", "eager")["accuracy"]


@pytest.mark.slow
def test_every_network_of_a_class_is_compiled():
    torch.compiler.reset()
    counts = torch._dynamo.utils.counters["stats"]
    for width in range(1, 13):  # more than the eight of one class that are compiled by default
        before = counts["unique_graphs"]
        exporting._compiled(nn.Sequential(nn.Linear(3, width)), 1)(torch.randn(2, 3))
        assert counts["unique_graphs"] == before + 1
