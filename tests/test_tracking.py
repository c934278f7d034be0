"""W&B, offline and without an account: what is logged is the record, and a failing tracker never kills a run."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import wandb

from benchmarks import tracking
from tests.synthetic import golden

ROUND = {"step": 0, "asked": 0.5, "achieved": 0.49, "units": 7, "before": 0.4, "after": 0.9}
RECORD = {**golden()[0], "rounds": [{**ROUND, "kept": {"a": [1]}}, {**ROUND, "step": 10, "kept": {"a": [1]}}]}


def logged(folder: Path) -> dict:
    """The summary of the one offline run in `folder`."""
    (file,) = folder.rglob("*.wandb")
    command = [Path(sys.executable).with_name("wandb"), "leet", "inspect", "--summary", "--json", file]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def test_an_offline_run_holds_the_records_numbers(tmp_path):
    tracking.track(RECORD, "offline", "test", None, tmp_path)
    text = json.dumps(logged(tmp_path))
    assert RECORD["id"] in str(next(tmp_path.rglob("*.wandb")))
    for number in (
        RECORD["pruned"]["accuracy"],
        RECORD["pruned"]["parameters"],
        RECORD["dense"]["macs"] / RECORD["pruned"]["macs"],
    ):
        assert str(number)[:6] in text


def test_disabled_writes_nothing(tmp_path):
    tracking.track(RECORD, "disabled", "test", None, tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("error", [wandb.Error("no key"), OSError("disk full")])
def test_a_tracker_that_fails_warns_and_the_run_lives(error, tmp_path, monkeypatch, caplog):
    def fail(**settings):
        raise error

    monkeypatch.setattr(wandb, "init", fail)
    tracking.track(RECORD, "online", "test", None, tmp_path)
    assert f"not logged to W&B ({error})" in caplog.text


def test_online_without_a_key_warns_and_the_run_lives(tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("WANDB_API_KEY", "")
    monkeypatch.setenv("HOME", str(tmp_path))
    tracking.track(RECORD, "online", "test", None, tmp_path)
    assert "not logged to W&B" in caplog.text


def test_the_trade_off_table_has_the_dense_and_the_pruned_network():
    dense, pruned = (dict(zip(tracking.COLUMNS, row, strict=True)) for row in tracking.tradeoff(RECORD))
    assert (dense["network"], pruned["network"]) == ("dense", "pruned")
    assert dense["keep"] == 1 and pruned["keep"] == RECORD["budget"]["achieved"]
    assert pruned["parameters"] == RECORD["pruned"]["parameters"] and pruned["latency_1"] > 0
