"""The trade-off between quality and size, as a figure."""

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from itertools import cycle
from math import ceil
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from benchmarks.frame import PANEL, SEPARATOR
from benchmarks.records import write_whole
from benchmarks.tables import by_order
from benchmarks.typesetting import span

# Okabe & Ito 2008, told apart in all kinds of colour vision; a grey instead of their yellow, too light for lines
COLOURS = ("#0072B2", "#D55E00", "#999999", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
MARKERS = "osDv^PXhp<>"
STROKES = ("-", "--", ":", "-.")
FORMS: dict[str, dict] = {
    "png": {"Software": None},
    "pdf": {"CreationDate": None},
    "svg": {"Date": None},
}  # nothing of the day
COMPRESSION = "nonzero_compression_ratio"
MOST = 8  # lines that can be told apart in a panel: with more labels, the lesser ones are thin and grey
OTHERS = "#BBBBBB"
ALWAYS = ("shapley", "magnitude", "random")


def tradeoff(table: pd.DataFrame, gain: str = COMPRESSION) -> Figure:
    """One panel for each data set, model and budget; a line for each label, with its 95 % intervals over seeds.

    table: benchmarks.tables.tradeoff(frame); gain: its column that is bought with quality, a ratio. Compression counts
    the parameters that are not zero, so that masks and removal share an axis. The dense networks are dashed lines; a
    grey staircase is the Pareto front: what no other mean surpasses in both. Of more than eight labels the best by
    their mean, and Shapley, magnitude and random, have a line of their own; the others are thin and grey.
    """
    table = table[table["n"] > 0]
    panels, looks = list(table.groupby(PANEL)), styles(_foremost(table[~_is_dense(table)]))
    others = table.loc[~_is_dense(table), "label"].nunique() - len(looks)
    columns = 2 if len(panels) == 4 else min(len(panels), 3)
    rows = ceil(len(panels) / columns)
    width = max(4.2 * columns, 5.4)
    entries = side_by_side([*looks, "Pareto front", "dense"], width)
    height = 3.3 * rows + 0.8 + 0.22 * ceil((len(looks) + 3) / entries)
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes, (key, panel) in zip(grid.flat, panels, strict=False):
        _draw(axes, panel, looks, gain)
        axes.set_title(_title(table, *key), fontsize=11)
    for axes in grid.flat[len(panels) :]:
        axes.remove()
    _legend(figure, grid[0, 0], looks, entries, others)
    _captions(figure, table, gain)
    return figure


def _foremost(pruned: pd.DataFrame) -> list[str]:
    """The labels that have a line of their own."""
    best = pruned.groupby("label")["quality"].mean().sort_values(ascending=False, kind="stable").index
    first = sorted(best, key=lambda label: label not in ALWAYS)
    return first[:MOST]


def side_by_side(labels: Sequence[str], width: float) -> int:
    """How many legend entries fit in `width` inches: a line and its marker take 0.7, a letter 0.085."""
    return min(len(labels), max(1, int(width / (0.7 + 0.085 * max(map(len, labels))))))


def styles(labels: Iterable[str]) -> dict[str, dict[str, str]]:
    """Colour, marker and stroke of each label, the same in all panels; strokes differ where colours come again."""
    return {
        label: {"color": colour, "marker": marker, "linestyle": STROKES[place // len(COLOURS) % len(STROKES)]}
        for place, (label, colour, marker) in enumerate(
            zip(by_order(labels), cycle(COLOURS), cycle(MARKERS), strict=False)
        )
    }


def _is_dense(table: pd.DataFrame) -> pd.Series:
    return table["label"].str.split(SEPARATOR).str[0] == "dense"


def _draw(axes: Axes, panel: pd.DataFrame, looks: Mapping[str, Mapping[str, str]], gain: str) -> None:
    for quality in panel.loc[_is_dense(panel), "quality"]:
        axes.axhline(quality, color="black", linestyle="--", linewidth=1, zorder=1)
    pruned = panel[~_is_dense(panel)]
    axes.step(*pareto(pruned[gain], pruned["quality"]), where="post", color="#CCCCCC", linewidth=4, zorder=0)
    for _, line in pruned[~pruned["label"].isin(list(looks))].sort_values(COMPRESSION).groupby("label"):
        axes.plot(line[gain], line["quality"], color=OTHERS, linewidth=0.8, zorder=1)
    lines = [(label, panel[panel["label"] == label]) for label in looks]
    lines = [(label, line) for label, line in lines if len(line)]
    step = _octaves_aside(pruned[gain], pruned["keep"].nunique(), len(lines))
    for place, (label, line) in enumerate(lines):
        aside = 2 ** (step * (place - (len(lines) - 1) / 2))  # intervals side by side, not on each other
        line = line.sort_values(COMPRESSION)
        axes.errorbar(
            line[gain] * aside,
            line["quality"],
            xerr=line[f"{gain}_ci95"].fillna(0) if f"{gain}_ci95" in line else None,
            yerr=line["quality_ci95"].fillna(0),
            **looks[label],
            markersize=5,
            markeredgecolor="white",
            markeredgewidth=0.6,
            linewidth=1.6,
            elinewidth=1.1,
            capsize=2.2,
        )
    _scale(axes, pruned[gain].dropna())
    low, high = axes.get_ylim()
    axes.set_ylim(max(low, min(0, pruned["quality"].min()) - 2), min(high, 102))  # intervals go beyond what can be


def _octaves_aside(gains: pd.Series, budgets: int, lines: int) -> float:
    """From one line's points to the next one's: all of a budget stand within a third of the way to the next budget."""
    way = np.log2(gains.max() / gains.min()) / (budgets - 1) if budgets > 1 else 1.0
    return min(0.025, min(0.2, way / 3) / max(1, lines))


def pareto(gains: Iterable[float], qualities: Iterable[float]) -> tuple[list[float], list[float]]:
    """The points that no other one surpasses in both, from the largest gain to the smallest."""
    front: list[tuple[float, float]] = []
    for gain, quality in sorted(zip(gains, qualities, strict=True), reverse=True):
        if not front or quality > front[-1][1]:
            front.append((gain, quality))
    return [gain for gain, _ in front], [quality for _, quality in front]


def _scale(axes: Axes, gains: pd.Series) -> None:
    """Powers of two, with one on either side of the data, within a tenth of an octave."""
    axes.set_xscale("log", base=2)
    exponents = np.log2(gains)
    low, high = np.floor(exponents.min() + 0.1), np.ceil(exponents.max() - 0.1)
    margin = 0.15 if low < high else 0.65  # around a single power, that of a lone budget
    axes.set_xlim(2 ** (low - margin), 2 ** (high + margin))
    axes.xaxis.set_major_locator(LogLocator(base=2))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}×"))
    axes.grid(color="#E4E4E4", linewidth=0.7)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=9)


def _title(table: pd.DataFrame, dataset: str, model: str, metric: str, of: str) -> str:
    of_what = f" · {metric.replace('_', ' ')}" if table["metric"].nunique() > 1 else ""
    return f"{dataset} · {model}{of_what}" + (f" · budget in {of}" if table["of"].nunique() > 1 else "")


def _legend(figure: Figure, first: Axes, looks: Mapping[str, Mapping[str, str]], entries: int, others: int) -> None:
    """One legend for all panels, drawn from empty lines: the drawn ones carry error bars."""
    for label, look in looks.items():
        first.plot([], [], label=label, **look, markersize=6, linewidth=1.6)
    if others:
        first.plot([], [], color=OTHERS, linewidth=0.8, label=f"{others} other{'s' * (others > 1)}")
    first.plot([], [], color="#CCCCCC", linewidth=4, label="Pareto front")
    first.plot([], [], color="black", linestyle="--", linewidth=1, label="dense")
    handles, labels = first.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=entries, frameon=False, fontsize=10)


def _captions(figure: Figure, table: pd.DataFrame, gain: str) -> None:
    """What the axes show, and how many seeds stand behind a point."""
    metrics = [metric.replace("_", " ") for metric in table["metric"].unique()]
    figure.supylabel(f"test {metrics[0] if len(metrics) == 1 else 'quality'} (%)", fontsize=10)
    batch = gain.rpartition("_")[2]
    what = {COMPRESSION: "compression (non-zero parameters, dense ÷ pruned)"}
    figure.supxlabel(what.get(gain, f"measured speed-up at batch {batch} (dense ÷ pruned)") + "\n", fontsize=10)
    seeds = table.loc[~_is_dense(table), "n"]
    bars = "seeds; bars: 95 % Student t intervals" if seeds.max() > 1 else "seed"
    figure.text(0.995, 0.006, f"n = {span(seeds)} {bars}", ha="right", fontsize=8, color="#555555")


def save(figure: Figure, folder: Path, name: str) -> None:
    """Write `name` as PNG, PDF and SVG, each whole or not at all; the same bytes for the same figure."""
    for form, metadata in FORMS.items():
        with matplotlib.rc_context({"svg.hashsalt": name}):  # or names within it would be random
            write = partial(figure.savefig, format=form, dpi=200, metadata=metadata)
            write_whole(folder / f"{name}.{form}", write)
        figure.set_layout_engine("none")  # it stays as it was laid out
