"""The trade-off between quality and size, as a figure."""

import os
import tempfile
from collections.abc import Mapping, Sequence
from itertools import cycle
from math import ceil
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from benchmarks.frame import PANEL, SEPARATOR
from benchmarks.tables import by_order

# Okabe & Ito 2008, told apart in all kinds of colour vision; a grey instead of their yellow, too light for lines
COLOURS = ("#0072B2", "#D55E00", "#999999", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
MARKERS = "osDv^PXhp<>"
METADATA = {".png": {"Software": None}, ".pdf": {"CreationDate": None}}  # nothing that changes with the day


def tradeoff(table: pd.DataFrame) -> Figure:
    """One panel for each data set, model and budget; a line for each label, with its 95 % intervals over seeds.

    table: benchmarks.tables.tradeoff(frame). Compression counts the parameters that are not zero, so that masks
    and removal share an axis. The dense networks are dashed lines.
    """
    table = table[table["n"] > 0]
    panels, styles = list(table.groupby(PANEL)), _styles(table)
    columns = 2 if len(panels) == 4 else min(len(panels), 3)
    rows = ceil(len(panels) / columns)
    width = max(4.2 * columns, 5.4)
    entries = _side_by_side([*styles, "dense"], width)
    height = 3.3 * rows + 0.8 + 0.22 * ceil((len(styles) + 1) / entries)
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes, (key, panel) in zip(grid.flat, panels, strict=False):
        _draw(axes, panel, styles)
        axes.set_title(_title(table, *key), fontsize=11)
    for axes in grid.flat[len(panels) :]:
        axes.remove()
    _legend(figure, grid[0, 0], styles, entries)
    _captions(figure, table)
    return figure


def _side_by_side(labels: Sequence[str], width: float) -> int:
    """How many legend entries fit in `width` inches: a line and its marker take 0.7, a letter 0.085."""
    return min(len(labels), max(1, int(width / (0.7 + 0.085 * max(map(len, labels))))))


def _styles(table: pd.DataFrame) -> dict[str, dict[str, str]]:
    """Colour and marker of each label, the same in all panels."""
    labels = by_order(table.loc[~_is_dense(table), "label"].unique())
    return {
        label: {"color": colour, "marker": marker}
        for label, colour, marker in zip(labels, cycle(COLOURS), cycle(MARKERS), strict=False)
    }


def _is_dense(table: pd.DataFrame) -> pd.Series:
    return table["label"].str.split(SEPARATOR).str[0] == "dense"


def _draw(axes: Axes, panel: pd.DataFrame, styles: Mapping[str, Mapping[str, str]]) -> None:
    for quality in panel.loc[_is_dense(panel), "quality"]:
        axes.axhline(quality, color="black", linestyle="--", linewidth=1, zorder=1)
    lines = [(label, panel[panel["label"] == label]) for label in styles]
    lines = [(label, line) for label, line in lines if len(line)]
    for place, (label, line) in enumerate(lines):
        aside = 2 ** (0.025 * (place - (len(lines) - 1) / 2))  # intervals side by side, not on each other
        line = line.sort_values("nonzero_compression_ratio")
        axes.errorbar(
            line["nonzero_compression_ratio"] * aside,
            line["quality"],
            yerr=line["quality_ci95"].fillna(0),
            **styles[label],
            markersize=5,
            markeredgecolor="white",
            markeredgewidth=0.6,
            linewidth=1.6,
            elinewidth=1.1,
            capsize=2.2,
        )
    _scale(axes, panel["nonzero_compression_ratio"].dropna())


def _scale(axes: Axes, compression: pd.Series) -> None:
    """Powers of two, with one on either side of the data, within a tenth of an octave."""
    axes.set_xscale("log", base=2)
    exponents = np.log2(compression)
    axes.set_xlim(2 ** (np.floor(exponents.min() + 0.1) - 0.15), 2 ** (np.ceil(exponents.max() - 0.1) + 0.15))
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


def _legend(figure: Figure, first: Axes, styles: Mapping[str, Mapping[str, str]], entries: int) -> None:
    """One legend for all panels, drawn from empty lines: the drawn ones carry error bars."""
    for label, style in styles.items():
        first.plot([], [], label=label, **style, markersize=6, linewidth=1.6)
    first.plot([], [], color="black", linestyle="--", linewidth=1, label="dense")
    handles, labels = first.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=entries, frameon=False, fontsize=10)


def _captions(figure: Figure, table: pd.DataFrame) -> None:
    """What the axes show, and how many seeds stand behind a point."""
    metrics = [metric.replace("_", " ") for metric in table["metric"].unique()]
    figure.supylabel(f"test {metrics[0] if len(metrics) == 1 else 'quality'} (%)", fontsize=10)
    figure.supxlabel("compression (non-zero parameters, dense ÷ pruned)\n", fontsize=10)
    seeds = table.loc[~_is_dense(table), "n"]
    count = f"{seeds.min()}" if seeds.nunique() == 1 else f"{seeds.min()} to {seeds.max()}"
    bars = "seeds; bars: 95 % Student t intervals" if seeds.max() > 1 else "seed"
    figure.text(0.995, 0.006, f"n = {count} {bars}", ha="right", fontsize=8, color="#555555")


def save(figure: Figure, path: Path) -> None:
    """Write a PNG or PDF, whole or not at all; the same bytes for the same figure."""
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
        figure.savefig(file, format=path.suffix[1:], dpi=200, metadata=METADATA[path.suffix])
    os.chmod(file.name, 0o644)
    os.replace(file.name, path)
