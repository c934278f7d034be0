"""What the suite was made for: Shapley values against each rival, on every network of every sweep."""

from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from benchmarks import records
from benchmarks.areas import curves
from benchmarks.figures import save
from benchmarks.forest import forest
from benchmarks.frame import PANEL, frame
from benchmarks.statistics import paired_difference
from benchmarks.typesetting import csv, interval, span

RIVALS = ("magnitude", "gradual", "taylor", "random")  # have a column of their own
NETWORK = ["sweep", *PANEL]
NOTES = """\
Shapley − rival in points of the metric: the mean over all budgets of a sweep (areas), paired by seed, ± half the 95 %
Student t interval (n: seeds). **Bold**: the interval excludes zero. It is not corrected for the number of
comparisons: of twenty pairs that do not differ, one is bold by chance. Empty: not run. *all rivals*: how many of all
other methods of the sweep, those with a column among them, are worse (+), not told apart (=) and better (−) than
Shapley values by the same measure.
"""


def verdict(results: Path) -> pd.DataFrame:
    """A row for each network of a sweep and rival that Shapley values meet there at several budgets.

    `difference` is the mean over budgets and seeds of Shapley − rival in points, `difference_ci95` half its interval,
    `n` the number of seeds that have both, `scoring_seconds` what Shapley values took. `sign` is 1 where they are
    better beyond the interval, −1 where they are worse, 0 where it has zero or, with one seed, is unknown.
    """
    rows = [row for folder in records.sweeps(results) for row in _meetings(folder)]
    numbers = ["n", "difference", "difference_ci95", "scoring_seconds"]
    table = pd.DataFrame(rows, columns=[*NETWORK, "rival", *numbers])
    sure = table["difference"].abs() > table["difference_ci95"]
    return table.assign(sign=table["difference"].gt(0).map({True: 1, False: -1}).where(sure, 0))


def _meetings(folder: Path) -> Iterator[tuple]:
    for key, panel in curves(frame(records.load(folder))).groupby(PANEL):
        areas = panel.pivot(index="seed", columns="label", values="quality")
        seconds = panel.loc[panel["label"] == "shapley", "scoring_seconds"].mean()
        for rival in areas.columns.drop("shapley", errors="ignore") if "shapley" in areas else ():
            pairs = 100 * areas[["shapley", rival]].dropna()
            if len(pairs):
                yield folder.name, *key, rival, len(pairs), *paired_difference(*pairs.to_numpy().T), seconds


def markdown(table: pd.DataFrame) -> str:
    """The table of `verdict` as it is read: a row for each network, a column for each of RIVALS."""
    rows = [_line(dict(zip(NETWORK, key, strict=True)), rivals) for key, rivals in table.groupby(NETWORK)]
    return pd.DataFrame(rows).to_markdown(index=False, disable_numparse=True)


def _line(network: dict[str, str], rivals: pd.DataFrame) -> dict[str, str]:
    told = interval(rivals, "difference", "{:+.1f}")
    told = told.mask(rivals["sign"] != 0, "**" + told + "**").set_axis(rivals["rival"])
    counts = [str((rivals["sign"] == sign).sum()) for sign in (1, 0, -1)]
    return {
        "sweep": network["sweep"],
        "network": f"{network['dataset']} · {network['model']}",
        "metric": network["metric"].replace("_", " "),
        "n": span(rivals["n"]),
        **{f"− {rival}": told.get(rival, "") for rival in RIVALS},
        "all rivals + = −": " ".join(counts),
        "seconds of scoring": f"{rivals['scoring_seconds'].iloc[0]:.3g}",
    }


def write(results: Path) -> str:
    """Write verdict.md, .csv and the figure to `results`; returns the Markdown, or nothing where nobody met."""
    table = verdict(results)
    if table.empty:
        return ""
    text = f"# Shapley values against their rivals\n\n{markdown(table)}\n\n{NOTES}"
    records.write_text(results / "verdict.md", text)
    records.write_text(results / "verdict.csv", csv(table))
    save(forest(table, RIVALS), results, "verdict")
    return text
