"""Differences with their intervals, a line for each network, side by side for each rival."""

from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from benchmarks.typesetting import span

COLOURS = {1: "#0072B2", 0: "#999999", -1: "#D55E00"}  # better, not told apart, worse
LINEAR = 5  # points on either side of zero; beyond, the axis is logarithmic, as some intervals are wide


def forest(table: pd.DataFrame, rivals: Sequence[str]) -> Figure:
    """A forest plot (Lewis & Clarke 2001) of benchmarks.verdict.verdict's table: a panel for each of `rivals` in it."""
    table = table[table["rival"].isin(rivals)]
    lines = list(dict.fromkeys(_names(table)))
    shown = [rival for rival in rivals if (table["rival"] == rival).any()]
    reach = max(2 * LINEAR, 1.2 * (table["difference"].abs() + table["difference_ci95"].fillna(0)).max())
    figure = Figure(figsize=(3.4 + 2 * len(shown), 1.1 + 0.21 * len(lines)), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, rival in zip(figure.subplots(1, len(shown), sharey=True, squeeze=False).flat, shown, strict=True):
        _draw(axes, table[table["rival"] == rival], lines)
        _scale(axes, reach)
        axes.set_title(f"Shapley − {rival}", fontsize=10)
    figure.supxlabel(
        f"points of the metric, mean over all budgets and n = {span(table['n'])} seeds; "
        "bars: 95 % Student t intervals, coloured where they exclude zero",
        fontsize=8,
    )
    return figure


def _names(table: pd.DataFrame) -> pd.Series:
    return table["sweep"] + ": " + table["dataset"] + " · " + table["model"]


def _draw(axes: Axes, rows: pd.DataFrame, lines: Sequence[str]) -> None:
    for name, row in zip(_names(rows), rows.itertuples(), strict=True):
        look = {"fmt": "o", "color": COLOURS[row.sign], "markersize": 4, "capsize": 2}
        axes.errorbar(row.difference, lines.index(name), xerr=row.difference_ci95, **look)
    axes.axvline(0, color="black", linewidth=0.8, zorder=0)
    axes.set_yticks(range(len(lines)), lines, fontsize=8)
    axes.set_ylim(len(lines) - 0.4, -0.6)  # the first on top
    axes.spines[["top", "right"]].set_visible(False)


def _scale(axes: Axes, reach: float) -> None:
    axes.set_xscale("symlog", linthresh=LINEAR)
    axes.set_xlim(-reach, reach)
    axes.set_xticks([tick for tick in (-50, -5, 0, 5, 50) if abs(tick) < reach])
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:+g}".replace("-", "−") if value else "0"))
    axes.tick_params(labelsize=8)
    axes.grid(axis="x", color="#E4E4E4", linewidth=0.7)
    axes.set_axisbelow(True)
