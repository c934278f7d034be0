"""Figures of many runs: recovery, rank correlation of criteria, what scoring costs and what it brings."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations_with_replacement
from statistics import mean
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter
from scipy import stats

from benchmarks.figures import side_by_side, styles
from benchmarks.frame import CELL, PANEL, SEPARATOR
from benchmarks.statistics import mean_interval
from benchmarks.tables import by_order
from benchmarks.typesetting import span

Records = Mapping[str, Mapping[str, Any]]  # by id
Ranks = Mapping[str, np.ndarray]  # by group


def comparisons(records: Records, frame: pd.DataFrame, areas: pd.DataFrame, shown: str) -> Iterator[tuple[str, Figure]]:
    """The figures for which there are numbers, by their names; recovery is that of the cell of the record `shown`."""
    cell = frame.loc[frame["id"] == shown, CELL].iloc[0]
    curves = _curves(records, frame[(frame[CELL] == cell).all(axis=1)])
    if len(curves):
        yield "step_6_recovery", _recovery(curves, cell)
    matrices = [(key, found) for key, rows in frame.groupby(PANEL) if len(found := correlations(records, rows)) > 1]
    if matrices:
        yield "correlation", _heat_maps(matrices)
    whole = areas[areas["n"] > 0]
    if whole["label"].nunique() > 1:
        yield "price", _prices(whole)


def _panels(titles: Sequence[str], size: tuple[float, float], columns: int = 3) -> tuple[Figure, Sequence[Axes]]:
    columns = min(columns, len(titles))
    rows = -(-len(titles) // columns)
    figure = Figure(figsize=(size[0] * columns, size[1] * rows), layout="constrained")
    FigureCanvasAgg(figure)
    grid = list(figure.subplots(rows, columns, squeeze=False).flat)
    for axes in grid[len(titles) :]:
        axes.remove()
    for axes, title in zip(grid, titles, strict=False):
        axes.set_title(title, fontsize=10)
        axes.spines[["top", "right"]].set_visible(False)
    return figure, grid[: len(titles)]


def _curves(records: Records, rows: pd.DataFrame) -> pd.DataFrame:
    """The metric on validation data in percent, by label, seed and step, from the removal to the last epoch."""
    found = []
    for name, label, seed in rows[["id", "label", "seed"]].itertuples(index=False):
        record = records[name]
        first, recovery = record["rounds"][0], record["recovery"]
        if recovery["curve"]:
            points = [(first["step"], first["before"]), *recovery["curve"]]
            found += [(label, seed, step, 100 * quality, 100 * recovery["dense"]) for step, quality in points]
    return pd.DataFrame(found, columns=["label", "seed", "step", "quality", "dense"])


def _recovery(curves: pd.DataFrame, cell: pd.Series) -> Figure:
    title = f"{cell['dataset']} · {cell['model']}, keep {cell['keep']:g} of {cell['of']}"
    looks = styles(curves["label"].unique())
    many = len(looks) > 6  # then names stand beside the axes, not in them
    figure, [axes] = _panels([title], (8.6 if many else 6.4, max(4, 0.24 * len(looks))))
    for label, style in looks.items():
        line = curves[curves["label"] == label].groupby("step")["quality"].agg(mean_interval)
        middle, half = np.array(line.tolist()).T
        axes.plot(line.index, middle, label=label, color=style["color"], linestyle=style["linestyle"])
        axes.fill_between(line.index, middle - half, middle + half, color=style["color"], alpha=0.15, linewidth=0)
    axes.axhline(curves["dense"].mean(), color="black", linestyle="--", linewidth=1, label="dense")
    seeds = curves["seed"].nunique()
    bands = f" (n = {seeds} seeds; bands: 95 % Student t intervals)" if seeds > 1 else " (n = 1 seed)"
    axes.set(xlabel=f"steps of recovery{bands}", ylabel=f"validation {cell['metric'].replace('_', ' ')} (%)")
    if many:
        figure.legend(loc="outside right upper", frameon=False, fontsize=9)
    else:
        axes.legend(frameon=False)
    return figure


def correlations(records: Records, rows: pd.DataFrame) -> pd.DataFrame:
    """Spearman's rank correlation between the scores that labels give the dense network: square, a row a label.

    The mean over groups of at least three units, and over seeds that both labels have. Labels without scores of units
    are left out.
    """
    ranked: dict[str, dict[int, Ranks]] = {}
    for name, label, seed in rows[["id", "label", "seed"]].itertuples(index=False):
        if scores := records[name]["rounds"][0]["scores"]:
            ranked.setdefault(label, {})[seed] = ranks(scores)
    labels = by_order(ranked)
    matrix = pd.DataFrame(np.nan, index=labels, columns=labels)
    for one, other in combinations_with_replacement(labels, 2):
        shared = [spearman(ranked[one][s], ranked[other][s]) for s in ranked[one].keys() & ranked[other].keys()]
        matrix.loc[one, other] = matrix.loc[other, one] = mean(shared) if shared else np.nan
    return matrix


def ranks(scores: Mapping[str, Sequence[float]]) -> Ranks:
    """Of every group of at least three units, with mean zero and length one; zeros for constant scores."""
    return {group: _centred(of) for group, of in scores.items() if len(of) > 2}


def _centred(scores: Sequence[float]) -> np.ndarray:
    found = stats.rankdata(scores)
    found -= found.mean()
    return found / (np.linalg.norm(found) or 1)


def spearman(one: Ranks, other: Ranks) -> float:
    """The mean over groups of the correlation of ranks; constant scores rank nobody, and correlate with none."""
    found = [float(ranks @ other[group]) for group, ranks in one.items() if group in other]
    return mean(found) if found else float("nan")


def _heat_maps(matrices: Sequence[tuple[tuple, pd.DataFrame]]) -> Figure:
    letters = max(len(label) for _, matrix in matrices for label in matrix)
    wide = max(3.4, 0.42 * max(len(matrix) for _, matrix in matrices) + 0.8 + 0.085 * letters)  # inches
    figure, grid = _panels([SEPARATOR.join(key[:2]) for key, _ in matrices], (wide, wide), columns=2)
    for axes, (_, matrix) in zip(grid, matrices, strict=True):
        lower = matrix.where(np.tril(np.ones(matrix.shape, bool), -1)).iloc[1:, :-1]  # the rest says nothing new
        axes.imshow(lower, cmap="PuOr", vmin=-1, vmax=1)
        axes.set_xticks(range(len(lower.columns)), lower.columns, rotation=90, fontsize=8)
        axes.set_yticks(range(len(lower.index)), lower.index, fontsize=8)
        axes.spines[:].set_visible(False)
        for row, column in np.argwhere(lower.notna().to_numpy()):
            value = lower.iat[row, column]
            dark = {"color": "white" if abs(value) > 0.7 else "black"}
            told = f"{value:z.2f}".replace("-", "−")
            text = axes.text(column, row, told, ha="center", va="center", fontsize=7, **dark)
            text.set_in_layout(False)  # it is within the axes, and there are many
    figure.supxlabel(
        "Spearman's rank correlation of the dense network's scores, mean over groups and seeds", fontsize=8
    )
    return figure


def _prices(areas: pd.DataFrame) -> Figure:
    panels = list(areas.groupby(PANEL))
    looks = styles(areas["label"].unique())
    figure, grid = _panels([SEPARATOR.join(key[:2]) for key, _ in panels], (4.2, 3.4))
    for axes, (key, rows) in zip(grid, panels, strict=True):
        for row in rows.itertuples():
            error = np.nan_to_num(row.area_ci95)
            axes.errorbar(max(row.scoring_seconds, 1e-4), row.area, yerr=error, capsize=2, **looks[row.label])
        axes.set(xscale="log", ylabel=f"mean test {key[2].replace('_', ' ')} (%)")
        axes.set_xlim(rows["scoring_seconds"].clip(1e-4).min() / 4, 4 * rows["scoring_seconds"].clip(1e-4).max())
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.grid(color="#E4E4E4", linewidth=0.7)
    for label, look in looks.items():
        grid[0].plot([], [], label=label, **{**look, "linestyle": ""})
    columns = side_by_side(list(looks), figure.get_figwidth())
    figure.set_figheight(figure.get_figheight() + 0.17 * len(looks) / columns)
    handles = grid[0].get_legend_handles_labels()
    figure.legend(*handles, loc="outside upper center", ncols=columns, frameon=False, fontsize=8)
    figure.supxlabel(
        f"seconds of scoring (n = {span(areas['n'])} seeds; bars: 95 % Student t intervals of the area)", fontsize=9
    )
    return figure
