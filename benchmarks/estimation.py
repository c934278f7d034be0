"""Does a better estimate prune better? Errors of estimators against the longest estimate, and what they prune."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from scipy import stats

from benchmarks.figures import styles
from benchmarks.statistics import mean_interval

Record = Mapping[str, Any]
PLACE = ["dataset", "model", "seed"]  # of a dense network, whose units are estimated
OF = ["dataset", "model", "estimator", "samples"]
MEASURES = ("evaluations", "error", "spearman", "quality")
LONGER = 4  # times as many evaluations as any other has a reference


def estimation(records: Sequence[Record]) -> pd.DataFrame:
    """By data set, model, estimator and samples: `evaluations`, `error`, `spearman` and `quality`, with `*_ci95`.

    The error is the relative L2 distance of a network's scores from those of its longest estimate, `spearman` their
    rank correlation, both means over groups; `quality` is the mean test metric over all budgets, in percent. Means
    over n seeds. Empty unless every dense network has one estimate of at least four times the evaluations of others.
    """
    runs = pd.DataFrame([_row(record) for record in records if "estimator" in record["config"]["method"]["criterion"]])
    if runs.empty or not runs["scores"].map(bool).all():
        return pd.DataFrame()
    found = [part for _, network in runs.groupby(PLACE) for part in _compared(network)]
    tidy = pd.DataFrame(found)
    return pd.DataFrame(map(_summary, tidy.groupby(OF))) if len(tidy) else tidy


def _row(record: Record) -> dict[str, Any]:
    choices, estimator = record["choices"], record["config"]["method"]["criterion"]["estimator"]
    return {
        **{name: choices[name] for name in ("dataset", "model", "estimator")},
        "samples": estimator.get("samples", 0),
        "seed": record["seed"],
        "evaluations": record["rounds"][0]["evaluations"],
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
        "spearman": float(np.mean([stats.spearmanr(one, other).statistic for one, other in pairs])),
    }


def _summary(group: tuple[tuple, pd.DataFrame]) -> dict[str, Any]:
    key, rows = group
    found = dict(zip(OF, key, strict=True)) | {"n": len(rows)}
    for name in MEASURES:
        found[name], found[f"{name}_ci95"] = mean_interval(rows[name])
    return found


def markdown(table: pd.DataFrame) -> str:
    """The table, a row for each estimator and number of samples."""
    shown = pd.DataFrame(
        {
            **{name: table[name] for name in (*OF, "n")},
            "evaluations": table["evaluations"].map("{:,.0f}".format),
            "relative error": _with_interval(table, "error", ".3f"),
            "Spearman": _with_interval(table, "spearman", ".3f"),
            "quality %": _with_interval(table, "quality", ".1f"),
        }
    )
    return shown.to_markdown(index=False)


def _with_interval(table: pd.DataFrame, name: str, form: str) -> list[str]:
    return [f"{mean:{form}} ± {half:{form}}" for mean, half in zip(table[name], table[f"{name}_ci95"], strict=True)]


def figure(table: pd.DataFrame) -> Figure:
    """Error against evaluations, and quality against error, a row of panels for each network."""
    panels = list(table.groupby(["dataset", "model"]))
    drawn = Figure(figsize=(9, 3.6 * len(panels)), layout="constrained")
    FigureCanvasAgg(drawn)
    looks = styles(table["estimator"].unique())
    for row, ((dataset, model), found) in zip(drawn.subplots(len(panels), 2, squeeze=False), panels, strict=True):
        for estimator, points in found.groupby("estimator"):
            look = {**looks[estimator], "label": estimator, "capsize": 2}
            row[0].errorbar(points["evaluations"], points["error"], points["error_ci95"], **look)
            row[1].errorbar(points["error"], points["quality"], points["quality_ci95"], **look)
        row[0].set(xscale="log", yscale="log", xlabel="evaluations of coalitions", ylabel="relative error of scores")
        row[1].set(xscale="log", xlabel="relative error of scores", ylabel="test quality, mean over budgets (%)")
        row[0].set_title(f"{dataset} · {model}", fontsize=10)
        row[0].legend(frameon=False, fontsize=8)
    drawn.supxlabel(f"n = {table['n'].min()} seeds; bars: 95 % Student t intervals", fontsize=8)
    return drawn
