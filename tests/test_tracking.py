"""W&B, offline and without an account: what is logged is the record, and a failing tracker never kills a run."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import wandb

from benchmarks import tracking
from tests import synthetic
from tests.synthetic import golden
from tests.wandb_server import serving

ROUND = {"step": 0, "asked": 0.5, "achieved": 0.49, "units": 7, "before": 0.4, "after": 0.9}
RECORD = {**golden()[0], "rounds": [{**ROUND, "kept": {"a": [1]}}, {**ROUND, "step": 10, "kept": {"a": [1]}}]}


@pytest.fixture
def at(monkeypatch, tmp_path):
    """Have wandb talk to a server, and leave its logs in a folder of the test's."""
    monkeypatch.chdir(tmp_path)

    def use(server):
        monkeypatch.setenv("WANDB_BASE_URL", server.url)
        monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
        wandb.teardown()  # it reads the environment once

    yield use
    wandb.teardown()


def program(*arguments) -> str:
    """What wandb's own command says."""
    command = [Path(sys.executable).with_name("wandb"), *arguments]
    return subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT).stdout


def logged(folder: Path) -> dict:
    """The summary of the one offline run in `folder`."""
    (file,) = folder.rglob("*.wandb")
    return json.loads(program("leet", "inspect", "--summary", "--json", file))


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
    assert f"offline-run-*-{RECORD['id']} sends it later" in caplog.text
    assert RECORD["id"] in str(next(tmp_path.rglob("offline-run-*/*.wandb")))


def test_a_server_gets_runs_grouped_and_tagged_with_their_history(at, tmp_path, caplog):
    with serving() as server:
        at(server)
        assert tracking.track(RECORD, "online", "test", None, tmp_path), caplog.text
        made = server.variables("UpsertBucket")[0]
        rows = server.rows(RECORD["id"])
    assert (made["name"], made["groupName"], made["jobType"]) == (RECORD["id"], "golden", RECORD["choices"]["method"])
    assert {"digits", RECORD["choices"]["model"]} <= set(made["tags"])
    assert json.loads(made["config"])["choices"]["value"] == RECORD["choices"]
    curve = [[row["step"], row["recovery/quality"]] for row in rows if "recovery/quality" in row]
    assert curve == RECORD["recovery"]["curve"]
    assert [row["round/after"] for row in rows if "round/after" in row] == [0.9, 0.9]
    assert "trade-off" in rows[-1]
    assert "benchmarks.tracking" not in {entry.name for entry in caplog.records}


@pytest.mark.parametrize("leave_after", [None, "CreateArtifact"])
def test_what_a_server_did_not_take_is_on_disk_and_sync_sends_it(leave_after, at, tmp_path, monkeypatch, caplog):
    """The server goes away in the middle, or was never there."""
    monkeypatch.setattr(tracking, "INIT", 3)
    monkeypatch.setattr(tracking, "FINISH", 2)
    with serving(leave_after=leave_after) as server:
        server.gone = leave_after is None
        at(server)
        assert not tracking.track(RECORD, "online", "test", None, tmp_path)
        assert f"wandb sync {tmp_path}/wandb/offline-run-*-{RECORD['id']} sends it later" in caplog.text
        (kept,) = tmp_path.glob(f"wandb/offline-run-*-{RECORD['id']}")
        server.gone, server.leave_after = False, None
        assert str(kept.name) in program("sync", "--dry-run", kept)
        program("sync", kept)
        assert len(server.rows(RECORD["id"])) == len(tracking.history(RECORD)) + 1


def test_the_history_is_in_the_order_of_steps():
    rows = tracking.history(RECORD)
    assert [row["step"] for row in rows] == sorted(row["step"] for row in rows)
    assert len(rows) == len(RECORD["rounds"]) + len(RECORD["recovery"]["curve"])


def test_artefacts_are_rows_with_their_medians():
    artefact = {"network": "pruned", "engine": "onnx", "accuracy": 0.9, "joules": None}
    measured = {**artefact, "latency": {"1": {"64": [1.0, 3.0, 2.0], "contention": {"64": 0.1}}}}
    (row,) = tracking.artefacts({"metric": "accuracy", "artefacts": [measured]})
    assert row == {**artefact, "quality": 0.9, "latency_64_1": 2.0}


def test_records_that_are_there_are_logged_by_a_command(tmp_path, capsys):
    synthetic.write(tmp_path / "golden", golden()[:2])
    assert tracking.main(["golden", "--mode=offline", f"--results={tmp_path}"]) == 0
    assert "2 records logged" in capsys.readouterr().out
    assert len(list(tmp_path.glob("cache/wandb/offline-run-*/*.wandb"))) == 2
    assert tracking.main(["nothing", f"--results={tmp_path}"]) == 2
    assert capsys.readouterr().err == f"error: 'nothing' is not a sweep in {tmp_path}: choose golden\n"


def test_the_trade_off_table_has_the_dense_and_the_pruned_network():
    dense, pruned = (dict(zip(tracking.COLUMNS, row, strict=True)) for row in tracking.tradeoff(RECORD))
    assert (dense["network"], pruned["network"]) == ("dense", "pruned")
    assert dense["keep"] == 1 and pruned["keep"] == RECORD["budget"]["achieved"]
    assert pruned["parameters"] == RECORD["pruned"]["parameters"] and pruned["latency_1"] > 0
