"""The command: python -m benchmarks.report NAME makes a sweep's tables and figure from its records."""

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from benchmarks import figures, landscape_figure, records, shipped, steps, tables, typesetting
from benchmarks.areas import areas
from benchmarks.comparisons import comparisons
from benchmarks.fairness import fairness
from benchmarks.frame import frame
from benchmarks.ranks import ranks

TABLES = ("tradeoff.md", "tradeoff.tex", "tradeoff.csv", "tradeoff.html")
SHIPPED = ("shipped.md", "shipped.tex", "shipped.csv")


def report(folder: Path) -> str:
    """Write the tables and figures of the sweep in `folder` beside its records; returns the Markdown table.

    Raises ValueError where there are no records, or a corrupt one.
    """
    found, failed = records.load(folder), records.failures(folder)
    if not found:
        raise ValueError(f"{folder} has no records: {_missing(failed) or 'run its sweep first'}")
    tidy = frame(found)
    table = tables.tradeoff(tidy)
    verdicts = [*fairness(found), *ranks(tidy)]
    text = _markdown(folder.name, found, failed, typesetting.markdown(table), verdicts)
    page = typesetting.html(folder.name, table, verdicts)
    for name, content in zip(TABLES, (text, typesetting.latex(table), typesetting.csv(table), page), strict=True):
        records.write_text(folder / name, content)
    for name, figure in _figures(found, tidy, table):
        figures.save(figure, folder, name)
    return text + _shipped(folder, found, tidy)


def _figures(
    found: Sequence[Mapping[str, Any]], tidy: pd.DataFrame, table: pd.DataFrame
) -> Iterator[tuple[str, Figure]]:
    """Every figure that there are numbers for, by its name."""
    yield "tradeoff", figures.tradeoff(table)
    *_, largest = table.filter(regex="^speedup_latency_[0-9]+$")
    yield "speedup", figures.tradeoff(table, largest)
    shown = steps.chosen(found)
    yield from steps.steps(shown)
    yield from comparisons({record["id"]: record for record in found}, tidy, areas(tidy), shown["id"])
    if rows := landscape_figure.analysed(found):
        yield "landscape", landscape_figure.landscapes(rows)


def _shipped(folder: Path, found: Sequence[Mapping[str, Any]], tidy: pd.DataFrame) -> str:
    """Write the tables of what the runs ship, if they ship anything; returns the Markdown one."""
    table = shipped.shipped(found, tidy)
    if table.empty:
        return ""
    title = f"# What is shipped: {folder.name}\n\nMeasured on {'; '.join(_machines(found))}."
    text = f"{title}\n\n{shipped.markdown(table)}\n## Notes\n\n{shipped.NOTES}"
    for name, content in zip(SHIPPED, (text, shipped.latex(table), typesetting.csv(table)), strict=True):
        records.write_text(folder / name, content)
    return "\n" + text


def _missing(failed: Sequence[Mapping[str, Any]]) -> str:
    """How many runs have no record, and why the first of them: those that failed, and those that are impossible."""
    kinds = {
        "failed, missing here; the first error": [run for run in failed if not run.get("skipped")],
        "skipped, as what they combine does not fit; the first reason": [run for run in failed if run.get("skipped")],
    }
    return "; ".join(f"{_count(len(some), 'run')} {kind}: {some[0]['error']}" for kind, some in kinds.items() if some)


def _markdown(
    sweep: str,
    found: Sequence[Mapping[str, Any]],
    failed: Sequence[Mapping[str, Any]],
    sub_tables: str,
    verdicts: Sequence[str],
) -> str:
    runs, seeds = _count(len(found), "run"), _count(len({record["seed"] for record in found}), "seed")
    parts = [
        f"# Quality against size: {sweep}",
        f"{runs}, {seeds}. Measured on {'; '.join(_machines(found))}.",
        f"**{_missing(failed)}**" if failed else "",
        sub_tables,
        *verdicts,
        f"## Notes\n\n{typesetting.NOTES}",
    ]
    return "\n\n".join(part.rstrip("\n") for part in parts if part) + "\n"


def _machines(found: Sequence[Mapping[str, Any]]) -> list[str]:
    """Every distinct combination of processor, threads and torch behind the numbers."""
    return sorted({_machine(record["machine"], record["versions"]["torch"]) for record in found})


def _machine(machine: Mapping[str, Any], torch: str) -> str:
    processor = machine.get("gpu") or machine["cpu"]
    return f"{processor}, {_count(machine['threads'], 'thread')}, torch {torch}"


def _count(number: int, of: str) -> str:
    return f"{number} {of}" if number == 1 else f"{number} {of}s"


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the tables and the files written, of one sweep or of all; 2 for what cannot be reported."""
    parser = argparse.ArgumentParser("python -m benchmarks.report", description="Tables and figures of a sweep.")
    parser.add_argument("name", help="of the sweep: a folder in results/, or all")
    parser.add_argument("--results", type=Path, default=Path("results"), help="where the sweeps are")
    chosen = parser.parse_args(arguments)
    every = sorted(path.parent for path in chosen.results.glob("*/records"))
    try:
        for folder in every if chosen.name == "all" and every else [records.sweep(chosen.results, chosen.name)]:
            print(report(folder))
            written = (path for path in sorted(folder.iterdir()) if path.is_file())
            print("Written:", *(f"  {path}" for path in written), "", sep="\n")
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
