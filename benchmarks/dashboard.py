"""All results as one page, results/index.html, which needs a browser and no network: python -m benchmarks.dashboard."""

import argparse
import json
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
from plotly.offline import get_plotlyjs
from scipy import stats

from benchmarks import records
from benchmarks.dashboard_runs import Pool, told
from benchmarks.figures import styles
from benchmarks.frame import frame
from benchmarks.statistics import LEVEL

PAGE = Path(__file__).with_name("page")  # the template, its style and its script
NAMES = ("sweep", "id", "task", "dataset", "model", "metric", "of", "method", "label", "layer")
NUMBERS = (
    *("keep", "achieved", "seed", "quality", "dense_quality", "unrecovered", "compression_ratio"),
    *("nonzero_compression_ratio", "bytes_ratio", "speedup_macs", "contention", "rejected"),
    *("scoring_seconds", "evaluations", "recovery_seconds", "training_seconds"),
)
SYMBOLS = {"o": "circle", "s": "square", "D": "diamond", "v": "triangle-down", "^": "triangle-up", "P": "cross"}
SYMBOLS |= {"X": "x", "h": "hexagon", "p": "pentagon", "<": "triangle-left", ">": "triangle-right"}
DASHES = {"-": "solid", "--": "dash", ":": "dot", "-.": "dashdot"}
FORMS = ("html", "md", "tex", "csv", "png", "pdf", "svg")


def dashboard(results: Path) -> Path:
    """Write the page of all sweeps in `results`, and return its path. A sweep that cannot be read is named there."""
    content = _content(records.sweeps(results))
    records.write_text(results / "index.html", _page(content))
    return results / "index.html"


def _page(content: Mapping[str, Any]) -> str:
    """The template, filled. No text in it may end the element that holds it."""
    files = jinja2.Environment(loader=jinja2.FileSystemLoader(PAGE), undefined=jinja2.StrictUndefined)
    data = json.dumps(content, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    plotly = get_plotlyjs().replace("</script", "<\\/script")
    return files.get_template("index.html").render(data=data, plotly=plotly)


def _content(folders: Sequence[Path]) -> dict[str, Any]:
    """All that the page shows: a row for each run, in columns; what its page tells; files; and how lines look."""
    pool, frames, runs, sweeps = Pool(), [], [], []
    for folder in folders:
        found, rows, problem = _read(folder)
        sweeps.append({"name": folder.name, "files": _files(folder), "problem": problem})
        frames.append(rows.assign(sweep=folder.name))
        runs += [told(record, pool) for record in found]
    rows = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()
    labels = rows["label"].unique() if len(rows) else []
    return {
        "columns": dict(_columns(rows)),
        "runs": runs,
        "pool": pool.values,
        "sweeps": sweeps,
        "looks": {label: _look(style) for label, style in styles(labels).items()},
        "quantiles": [round(float(stats.t.ppf((1 + LEVEL) / 2, n)), 5) for n in range(1, 101)],
    }


def _read(folder: Path) -> tuple[list[dict[str, Any]], pd.DataFrame, str]:
    """A sweep's records, their frame, and what is wrong with it."""
    try:
        found, failed = records.load(folder), records.failures(folder)
        rows = frame(found) if found else pd.DataFrame()
    except ValueError as error:
        return [], pd.DataFrame(), str(error)
    missing = f"missing here: {len(failed)} failed; the first error: {failed[0]['error']}" if failed else ""
    return found, rows, missing or ("" if found else "no records yet")


def _columns(rows: pd.DataFrame) -> Iterator[tuple[str, Any]]:
    """Names as places in a list of them, numbers to six digits."""
    for name in (name for name in NAMES if name in rows):
        codes, values = pd.factorize(rows[name].fillna(""))
        yield name, {"codes": codes.tolist(), "values": [str(value) for value in values]}
    speeds = rows.filter(regex=r"^(speedup_latency|control)_").columns
    for name in (name for name in (*NUMBERS, *speeds) if name in rows):
        yield name, [None if math.isnan(value) else float(f"{value:.6g}") for value in rows[name].astype(float)]


def _look(style: Mapping[str, str]) -> dict[str, str]:
    """A line of matplotlib, as plotly calls it."""
    return {"color": style["color"], "symbol": SYMBOLS[style["marker"]], "dash": DASHES[style["linestyle"]]}


def _files(folder: Path) -> dict[str, list[str]]:
    """A report's files by name, with their forms: tables have the form csv, figures png."""
    found: dict[str, list[str]] = {}
    for path in sorted(folder.iterdir()):
        if path.is_file() and path.suffix[1:] in FORMS:
            found.setdefault(path.stem, []).append(path.suffix[1:])
    return {name: sorted(forms, key=FORMS.index) for name, forms in found.items()}


def main(arguments: Sequence[str] | None = None) -> int:
    """Print where the page is."""
    parser = argparse.ArgumentParser("python -m benchmarks.dashboard", description="All results as one page.")
    parser.add_argument("--results", type=Path, default=Path("results"), help="where the sweeps are")
    results = parser.parse_args(arguments).results
    if not records.sweeps(results):
        print(f"error: {results} has no sweeps: python -m benchmarks.run makes them", file=sys.stderr)
        return 2
    print(f"Written:\n  {dashboard(results)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
