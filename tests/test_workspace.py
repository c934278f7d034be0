"""W&B's view of the runs, as it is sent, and the mistakes of those who make it."""

import json

import pytest
import wandb

from benchmarks import tracking, workspace
from tests.synthetic import golden
from tests.wandb_server import serving

PANELS = {
    "Quality against size": ["Scatter Plot", "Scatter Plot", "Bar Chart", "Bar Chart"],
    "Recovery": ["Run History Line Plot"] * 3,
    "Price of scoring": ["Bar Chart", "Bar Chart", "Scatter Plot", "Scatter Plot"],
    "Latency": ["Scatter Plot", "Scatter Plot", "Bar Chart"],
    "All choices": ["Parallel Coordinates Plot"],
}


@pytest.fixture
def server(monkeypatch):
    with serving() as server:
        monkeypatch.setenv("WANDB_BASE_URL", server.url)
        monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
        wandb.teardown()
        yield server
    wandb.teardown()


def test_the_view_is_sent_to_the_project(server, capsys):
    assert workspace.main(["--project=test"]) == 0
    assert capsys.readouterr().out.startswith(f"{server.url}/me/test?nw=")
    (sent,) = server.variables("UpsertView2")
    assert (sent["entityName"], sent["projectName"], sent["displayName"]) == ("me", "test", workspace.NAME)
    section = json.loads(sent["spec"])["section"]
    sections = section["panelBankConfig"]["sections"]
    assert {s["name"]: [panel["viewType"] for panel in s["panels"]] for s in sections} == PANELS
    grouping = [key["name"] for key in section["runSets"][0]["grouping"]]
    assert grouping == [*(f"choices.value.{axis}" for axis in ("dataset", "model", "method")), "keep.value"]


def test_panels_show_only_what_runs_log():
    record = golden()[0]
    made = tracking.summary(record)
    numbers = {f"summary:{key}" for key in made} | {f"summary:cost.{key}" for key in record["cost"]}
    logged = {key for row in tracking.history(record) for key in row}
    spec = json.loads(workspace.workspace("me", "test")._to_model().spec.model_dump_json(by_alias=True))
    for section in spec["section"]["panelBankConfig"]["sections"]:
        for panel in section["panels"]:
            shown = panel["config"]
            found = [shown.get("yAxis"), *(column["accessor"] for column in shown.get("columns", []))]
            assert {key for key in found if key and key.startswith("summary:")} <= numbers
            if panel["viewType"] == "Run History Line Plot":
                assert {*shown["metrics"]} <= logged | {"round/achieved"}
            if panel["viewType"] == "Bar Chart":
                assert {f"summary:{metric}" for metric in shown["metrics"]} <= numbers


def mistake(capsys, *arguments: str) -> str:
    assert workspace.main(arguments) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    return line


def test_an_unknown_project_is_told_in_one_line(server, capsys):
    assert mistake(capsys, "--project=other").startswith("error: me/other is no W&B project (")
    assert not server.variables("UpsertView2")


def test_a_missing_key_is_told_in_one_line(server, capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("WANDB_API_KEY", "")
    monkeypatch.setenv("HOME", str(tmp_path))
    wandb.teardown()
    assert "run wandb login, or set WANDB_API_KEY" in mistake(capsys, "--project=test")


def test_a_key_without_entity_is_told_in_one_line(server, capsys):
    server.entity = None
    assert mistake(capsys, "--project=test").endswith("give --entity=USER_OR_TEAM")
