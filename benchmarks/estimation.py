"""Does a better estimate prune better? Errors of estimators against the longest estimate, and what they prune."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from benchmarks.comparisons import ranks, spearman
from benchmarks.figures import styles
from benchmarks.frame import PANEL, SEPARATOR
from benchmarks.identity import essential, identity
from benchmarks.statistics import mean_interval
from benchmarks.typesetting import Table, heading, interval, text

Record = Mapping[str, Any]
PLACE = ["dataset", "model", "seed"]  # of a dense network, whose units are estimated
OF = [*PANEL, "estimator", "samples"]
MEASURES = ("evaluations", "error", "spearman", "quality")
LONGER = 4  # times as many evaluations as any other has a reference
NOTES = """\
- relative error, Spearman: of a network's scores, against those of its longest estimate in the sweep, which has at \
least four times the evaluations of any other; means over groups. evaluations: forward passes of coalitions.
- mean …: the test metric of the pruned networks, mean over all budgets.
- n: seeds. ± is the half width of the 95 % Student t interval over them.
"""


def estimation(records: Sequence[Record]) -> pd.DataFrame:
    """By data set, model, estimator and samples: `evaluations`, `error`, `spearman` and `quality`, with `*_ci95`.

    The error is the relative L2 distance of a network's scores from those of its longest estimate, `spearman` their
    rank correlation, both means over groups; `quality` is the mean test metric over all budgets, in percent. Means
    over n seeds. A dense network without an estimate of at least four times the evaluations of others is left out;
    empty where different values are estimated (Owen's beside Shapley's, or of another worth).
    """
    estimated = [record for record in records if "estimator" in record["config"]["method"]["criterion"]]
    runs = pd.DataFrame(map(_row, estimated))
    if len(set(map(_question, estimated))) != 1 or not runs["scores"].map(bool).all():
        return pd.DataFrame()
    found = [part for _, network in runs.groupby(PLACE) for part in _compared(network)]
    tidy = pd.DataFrame(found)
    return pd.DataFrame(map(_summary, tidy.groupby(OF))) if len(tidy) else tidy


def _question(record: Record) -> str:
    """What is estimated, however it is."""
    criterion = record["config"]["method"]["criterion"]
    return identity({key: value for key, value in essential(criterion).items() if key != "estimator"})


def _row(record: Record) -> dict[str, Any]:
    choices, estimator = record["choices"], record["config"]["method"]["criterion"]["estimator"]
    return {
        **{name: choices[name] for name in ("dataset", "model", "estimator")},
        "metric": record["metric"],
        "of": record["budget"]["of"],
        "samples": estimator.get("samples", 0),
        "seed": record["seed"],
        "evaluations": record["cost"]["evaluations"],
        "scores": record["rounds"][0]["scores"],
        "quality": 100 * record["pruned"][record["metric"]],
    }


def _compared(network: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """The estimates for one dense network, but the longest, which they are compared with."""
    longest = network["evaluations"] == network["evaluations"].max()
    others = network[~longest]
    if others.empty or LONGER * others["evaluations"].max() > network["evaluations"].max():
        return
    reference = network.loc[longest, "scores"].iloc[0]
    for _, runs in others.groupby(OF):
        first = runs.iloc[0]
        yield {
            **first[[*OF, "seed", "evaluations"]],
            **_distance(first["scores"], reference),
            "quality": runs["quality"].mean(),
        }


def _distance(scores: Mapping[str, Sequence[float]], reference: Mapping[str, Sequence[float]]) -> dict[str, float]:
    pairs = [(np.array(scores[name]), np.array(reference[name])) for name in reference]
    return {
        "error": float(np.mean([np.linalg.norm(one - other) / np.linalg.norm(other) for one, other in pairs])),
        "spearman": spearman(ranks(scores), ranks(reference)),
    }


def _summary(group: tuple[tuple, pd.DataFrame]) -> dict[str, Any]:
    key, rows = group
    found = dict(zip(OF, key, strict=True)) | {"n": len(rows)}
    for name in MEASURES:
        found[name], found[f"{name}_ci95"] = mean_interval(rows[name])
    return found


def table(rows: pd.DataFrame) -> Table:
    """The same, to be read."""
    return Table("estimators", "Errors of estimates, and what they prune", rows, _cells, NOTES, heading)


def _cells(panel: pd.DataFrame) -> pd.DataFrame:
    columns = {
        "estimator": panel["estimator"],
        "samples": panel["samples"].map(str),
        "n": panel["n"].map(str),
        "evaluations": text(panel["evaluations"], "{:,.0f}"),
        "relative error": interval(panel, "error", "{:.3f}"),
        "Spearman": interval(panel, "spearman", "{:.3f}"),
        f"mean {heading(panel['metric'].iloc[0])}": interval(panel, "quality", "{:.1f}"),
    }
    return pd.DataFrame(columns)


def figure(rows: pd.DataFrame) -> Figure:
    """Error against evaluations, and quality against error, a row of panels for each network."""
    panels = list(rows.groupby(PANEL))
    drawn = Figure(figsize=(9, 3.6 * len(panels)), layout="constrained")
    FigureCanvasAgg(drawn)
    looks = styles(rows["estimator"].unique())
    for row, (key, found) in zip(drawn.subplots(len(panels), 2, squeeze=False), panels, strict=True):
        for estimator, points in found.groupby("estimator"):
            look = {**looks[estimator], "label": estimator, "capsize": 2}
            row[0].errorbar(points["evaluations"], points["error"], points["error_ci95"], **look)
            row[1].errorbar(points["error"], points["quality"], points["quality_ci95"], **look)
        row[0].set(xscale="log", yscale="log", xlabel="evaluations of coalitions", ylabel="relative error of scores")
        row[1].set(xscale="log", xlabel="relative error of scores", ylabel="test quality, mean over budgets (%)")
        for axis in (row[0].xaxis, row[0].yaxis, row[1].xaxis):
            axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axis.set_major_formatter("{x:,g}")
            axis.set_minor_locator(NullLocator())
        row[0].set_title(SEPARATOR.join(key[:2]), fontsize=10)
        row[0].legend(frameon=False, fontsize=8)
    drawn.supxlabel(f"n = {rows['n'].min()} seeds; bars: 95 % Student t intervals", fontsize=8)
    return drawn
