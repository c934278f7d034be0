"""The figure of a bench's record: how the error of estimators falls with evaluations."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from benchmarks.figures import styles

TICKS = (5, 10, 20, 50)
DISTANCES = {"error": "relative L2 error", "spearman": "rank correlation"}


def errors(races: Sequence[Mapping[str, Any]]) -> Figure:
    """A column for each network: distances to the reference against evaluations a unit, a line for each estimator.

    Points are means over the network's games and their seeds, at the numbers of evaluations that all its games were
    asked (who has reached the goal is asked no more); bands are one standard error over both.
    """
    runs = pd.DataFrame([{**race, **run} for race in races for run in race["runs"]])
    networks, looks = list(runs["network"].unique()), styles(runs["estimator"].unique())
    figure = Figure(figsize=(4.6 * len(networks), 7.4), layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(len(DISTANCES), len(networks), squeeze=False, sharex=True)
    for column, network in enumerate(networks):
        of_network = runs[runs["network"] == network]
        for axes, (distance, name) in zip(grid[:, column], DISTANCES.items(), strict=True):
            _draw(axes, of_network, distance, looks)
            axes.set_ylabel(name if column == 0 else "")
        games = of_network["group"].nunique()
        grid[0, column].set_title(f"{network} (n = {games} games × {len(races[0]['runs'])} seeds)", fontsize=10)
        grid[-1, column].set_xlabel("evaluations a unit")
    for axes in grid[0]:
        axes.set_yscale("log")
    handles = {
        label: handle for axes in grid[0] for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    figure.legend(handles.values(), handles.keys(), loc="outside upper center", ncols=4, frameon=False, fontsize=8)
    return figure


def _draw(axes: Axes, runs: pd.DataFrame, distance: str, looks: Mapping[str, Mapping[str, str]]) -> None:
    for estimator, look in looks.items():
        asked = runs[runs["estimator"] == estimator].groupby("samples")
        line = asked[distance].agg(["mean", "sem"])[asked["group"].nunique() == runs["group"].nunique()]
        axes.plot(line.index, line["mean"], label=estimator if len(line) else None, **look, markersize=4, linewidth=1.3)
        low, high = line["mean"] - line["sem"], line["mean"] + line["sem"]
        axes.fill_between(line.index, low, high, color=look["color"], alpha=0.12, linewidth=0)
    axes.set_xscale("log")
    axes.set_xticks(TICKS, [str(samples) for samples in TICKS])
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.grid(color="#E4E4E4", linewidth=0.7)
    axes.spines[["top", "right"]].set_visible(False)
