"""The README says what the records say, and names only what exists."""

import json
import re
from pathlib import Path

import pandas as pd
import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
TABLE = (ROOT / "results" / "quickstart" / "tradeoff.md").read_text()


def test_what_it_says_of_estimators_is_in_the_record_of_the_bench():
    section = README.split("## Which estimator")[1].split("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| ")]
    tables = ROOT / "results" / "bench" / "tables.md"
    assert len(rows) > 30 and set(rows) <= set(tables.read_text().splitlines())


def test_the_tables_of_the_bench_follow_from_its_records():
    pytest.importorskip("shapiq", reason="the extra `bench` is not installed")
    from benchmarks.bench import tables

    records = [json.loads((ROOT / "results" / "bench" / name).read_text()) for name in ("cost.json", "races.json")]
    assert tables.markdown(*records) == (ROOT / "results" / "bench" / "tables.md").read_text()


def test_the_committed_table_follows_from_the_committed_records(tmp_path, monkeypatch):
    from shutil import copytree

    from benchmarks.report import report

    monkeypatch.setattr("benchmarks.report._figures", lambda *arguments: ())
    assert report(copytree(ROOT / "results" / "quickstart", tmp_path / "quickstart")).startswith(TABLE)


@pytest.mark.slow
@pytest.mark.parametrize("sweep", sorted(path.parent.name for path in (ROOT / "results").glob("*/records")))
def test_every_committed_table_follows_from_the_committed_records(sweep, tmp_path, monkeypatch):
    from shutil import copytree

    from benchmarks.report import FORMS, report

    monkeypatch.setattr("benchmarks.report._figures", lambda *arguments: ())
    report(copytree(ROOT / "results" / sweep, tmp_path / sweep))
    tables = [path.name for form in FORMS for path in (ROOT / "results" / sweep).glob(f"*.{form}")]
    assert len(tables) >= len(FORMS)
    for name in tables:
        assert (tmp_path / sweep / name).read_bytes() == (ROOT / "results" / sweep / name).read_bytes(), name


def deployed(sweep: str) -> list[str]:
    """The rows that the README shows of what is shipped, from the committed table; one thread, batch 1."""
    table = pd.read_csv(ROOT / "results" / sweep / "shipped.csv").set_index(["network", "engine"])
    rows = []
    for (dataset, model), of in table.groupby(["dataset", "model"]):
        integers = of[of.index.get_level_values("network").str.startswith("int8")].iloc[0]
        stages = of.loc[("dense", "eager")], of.loc[("pruned", "eager")], integers
        faster = of.loc[("pruned", "eager")], of.loc[("pruned", "onnx")], integers
        controls = " / ".join(f"{of.loc[('control', engine)]['speedup_1_1']:.2f}" for engine in ("eager", "onnx"))
        cells = [
            f"{dataset} · {model}",
            " → ".join(f"{stage['quality']:.1f}" for stage in stages),
            " → ".join(f"{stage['bytes'] / 1000:,.0f}" for stage in stages),
            f"{of.loc[('pruned', 'eager')]['speedup_macs']:.2f}×",
            *(f"{stage['speedup_1_1']:.2f}×" for stage in faster),
            controls,
        ]
        rows.append(f"| {' | '.join(cells)} |")
    return rows


@pytest.mark.parametrize("sweep", ["deployment", "deployment_vnni"])
def test_what_it_says_of_deployment_is_in_the_committed_table(sweep):
    rows = deployed(sweep)
    assert len(rows) == 5 and all(row in README for row in rows)


def test_what_it_says_of_instructions_for_int8_is_in_the_committed_tables():
    gains = pd.concat(
        pd.read_csv(ROOT / "results" / sweep / "shipped.csv").query("network.str.startswith('int8')")
        for sweep in ("deployment", "deployment_vnni")
    )
    low, high = gains["speedup_1_1"] - gains["speedup_1_1_ci95"], gains["speedup_1_1"] + gains["speedup_1_1_ci95"]
    apart = low.groupby(gains["model"]).max() > high.groupby(gains["model"]).min()
    assert list(apart.index[apart]) == ["mobilenet_v2"]


@pytest.mark.parametrize(
    "axis",
    [
        "task",
        "method",
        "estimator",
        "until",
        "schedule",
        "allocation",
        "worth",
        "aggregate",
        "model",
        "dataset",
        "training",
        "compression",
        "export",
        "analysis",
    ],
)
def test_its_choices_are_the_files_of_conf(axis):
    row = next(line for line in README.splitlines() if line.startswith(f"| `{axis}` |"))
    choices = {path.stem for path in (ROOT / "conf" / axis).glob("*.yaml")}
    assert choices <= set(re.findall(r"`(\w+)`", row))


def test_its_links_lead_somewhere():
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", README) if "://" not in link]
    assert links and all((ROOT / link).exists() for link in links)
