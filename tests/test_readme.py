"""The README says what the records say, and names only what exists."""

import re
from pathlib import Path

import pytest

from benchmarks.typesetting import NOTES

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
TABLE = (ROOT / "results" / "quickstart" / "tradeoff.md").read_text()


def test_its_tables_are_those_of_the_committed_records():
    rows = [line for line in README.splitlines() if re.match(r"\|\s+[\d.]+ \|", line)]
    assert len(rows) == 34 and set(rows) <= set(TABLE.splitlines())
    assert NOTES in TABLE


def test_the_committed_table_follows_from_the_committed_records(tmp_path):
    from shutil import copytree

    from benchmarks.report import report

    assert report(copytree(ROOT / "results" / "quickstart", tmp_path / "quickstart")) == TABLE


@pytest.mark.parametrize(
    "axis",
    ["method", "estimator", "until", "schedule", "allocation", "worth", "aggregate", "model", "dataset", "training"],
)
def test_its_choices_are_the_files_of_conf(axis):
    row = next(line for line in README.splitlines() if line.startswith(f"| `{axis}` |"))
    choices = {path.stem for path in (ROOT / "conf" / axis).glob("*.yaml")}
    assert choices <= set(re.findall(r"`(\w+)`", row))


def test_its_links_lead_somewhere():
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", README) if "://" not in link]
    assert links and all((ROOT / link).exists() for link in links)
