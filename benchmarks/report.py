"""The command: python -m benchmarks.report NAME makes a sweep's tables and figures from its records."""

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from benchmarks import areas, cells, estimation, figures, landscape_figure, records, shipped, steps, tables, typesetting
from benchmarks.comparisons import comparisons
from benchmarks.dashboard import dashboard
from benchmarks.fairness import fairness
from benchmarks.frame import frame
from benchmarks.ranks import ranks
from benchmarks.reproductions import write as reproductions
from benchmarks.typesetting import Table
from benchmarks.verdict import write as verdict

FORMS = ("md", "tex", "csv", "html")


def report(folder: Path) -> str:
    """Write the tables and figures of the sweep in `folder` beside its records; returns the tables in Markdown.

    Raises ValueError where there are no records, or a corrupt one.
    """
    found, missing = records.load(folder), _missing(records.failures(folder), records.skipped(folder))
    if not found:
        raise ValueError(f"{folder} has no records: {missing or 'run its sweep first'}")
    tidy = frame(found)
    curves = areas.curves(tidy)
    quality, leaders = tables.tradeoff(tidy), areas.areas(curves)
    about, fair = _about(found, missing), fairness(found)
    texts = [_write(folder, cells.table(quality), about, [*fair, *ranks(tidy)])]
    if len(leaders):
        texts.append(_write(folder, areas.table(leaders), about, [*fair, *ranks(curves, ["dataset", "model"])]))
    if len(files := shipped.shipped(found, tidy)):
        texts.append(_write(folder, shipped.table(files), about, fair))
    if len(estimates := estimation.estimation(found)):
        texts.append(_write(folder, estimation.table(estimates), about, fair))
        figures.save(estimation.figure(estimates), folder, "estimators")
    for name, figure in _figures(found, tidy, quality, leaders):
        figures.save(figure, folder, name)
    return "\n".join(texts)


def _write(folder: Path, table: Table, about: Sequence[str], verdicts: Sequence[str]) -> str:
    """Write a table in all forms; returns the Markdown one."""
    title, notes = f"# {table.title}: {folder.name}", f"## Notes\n\n{table.notes}"
    parts = [title, *about, typesetting.markdown(table), *verdicts, notes]
    text = "\n\n".join(part.rstrip("\n") for part in parts) + "\n"
    page = typesetting.html(folder.name, table, about, verdicts)
    for form, content in zip(FORMS, (text, typesetting.latex(table), typesetting.csv(table.rows), page), strict=True):
        records.write_text(folder / f"{table.name}.{form}", content)
    return text


def _figures(
    found: Sequence[Mapping[str, Any]], tidy: pd.DataFrame, quality: pd.DataFrame, leaders: pd.DataFrame
) -> Iterator[tuple[str, Figure]]:
    """Every figure that there are numbers for, by its name."""
    yield "tradeoff", figures.tradeoff(quality)
    *_, largest = quality.filter(regex="^speedup_latency_[0-9]+$")
    yield "speedup", figures.tradeoff(quality, largest)
    shown = steps.chosen(found)
    yield from steps.steps(shown)
    yield from comparisons({record["id"]: record for record in found}, tidy, leaders, shown["id"])
    if rows := landscape_figure.analysed(found):
        yield "landscape", landscape_figure.landscapes(rows)


def _about(found: Sequence[Mapping[str, Any]], missing: str) -> list[str]:
    """How many runs there are, on which machines, and what is missing."""
    runs, seeds = _count(len(found), "run"), _count(len({record["seed"] for record in found}), "seed")
    told = f"{runs}, {seeds}. Measured on {'; '.join(_machines(found))}."
    return [told, f"**{missing}**"] if missing else [told]


def _missing(failed: Sequence[Mapping[str, Any]], skipped: Sequence[Mapping[str, Any]]) -> str:
    """How many runs have no record, and why the first of them: those that failed, and those that are impossible."""
    kinds = {
        "failed, missing here; the first error": failed,
        "skipped, as what they combine does not fit; the first reason": skipped,
    }
    return "; ".join(f"{_count(len(some), 'run')} {kind}: {some[0]['error']}" for kind, some in kinds.items() if some)


def _machines(found: Sequence[Mapping[str, Any]]) -> list[str]:
    """Every distinct combination of processor (with its set of instructions), threads and torch behind the numbers."""
    return sorted({_machine(record["machine"], record["versions"]["torch"]) for record in found})


def _machine(machine: Mapping[str, Any], torch: str) -> str:
    instructions = f" ({machine['instructions']})" if "instructions" in machine else ""  # older records do not tell
    processor = machine["gpu"] or machine["cpu"] + instructions
    return f"{processor}, {_count(machine['threads'], 'thread')}, torch {torch}"


def _count(number: int, of: str) -> str:
    return f"{number} {of}" if number == 1 else f"{number} {of}s"


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the tables and the files written, of one sweep or of all; 2 for what cannot be reported."""
    parser = argparse.ArgumentParser("python -m benchmarks.report", description="Tables and figures of a sweep.")
    parser.add_argument("name", help="of the sweep: a folder in results/, or all")
    parser.add_argument("--results", type=Path, default=Path("results"), help="where the sweeps are")
    chosen = parser.parse_args(arguments)
    every = records.sweeps(chosen.results)
    try:
        for folder in every if chosen.name == "all" and every else [records.sweep(chosen.results, chosen.name)]:
            print(report(folder))
            written = (path for path in sorted(folder.iterdir()) if path.is_file())
            print("Written:", *(f"  {path}" for path in written), "", sep="\n")
        if chosen.name == "all":
            print(verdict(chosen.results), reproductions(chosen.results), sep="\n")
        print(f"All results as one page: {dashboard(chosen.results)}")
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
