"""The loss around networks, as a figure."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

NETWORKS = {"dense": "#0072B2", "pruned": "#D55E00", "recovered": "#009E73"}
ROWS = 6  # of one figure: more are not read


def analysed(records: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Of each data set, model and method with a landscape the run that keeps least, of the first seed; some of them."""
    found: dict[tuple[str, ...], Mapping[str, Any]] = {}
    for record in sorted(records, key=lambda r: (r["budget"]["keep"], r["seed"])):
        if "landscape" in record["analysis"]:
            found.setdefault(tuple(record["choices"][axis] for axis in ("dataset", "model", "method")), record)
    return [found[key] for key in sorted(found)][:ROWS]


def landscapes(records: Sequence[Mapping[str, Any]]) -> Figure:
    """A row for each record: the loss along a line through its three networks, and on a plane through each.

    All in units of filter norms (Li et al. 2018); the planes of a row share their levels, on a logarithmic scale.
    """
    figure = Figure(figsize=(11, 2.9 * len(records)), layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(len(records), 4, squeeze=False, width_ratios=[1.4, 1, 1, 1])
    for row, record in zip(grid, records, strict=True):
        found = record["analysis"]["landscape"]
        _line(row[0], found)
        row[0].set_title(_title(record), fontsize=9)
        _planes(figure, row[1:], found)
    figure.legend(*grid[0, 0].get_legend_handles_labels(), loc="outside lower left", ncols=3, frameon=False)
    return figure


def _title(record: Mapping[str, Any]) -> str:
    choices = record["choices"]
    return f"{choices['dataset']} · {choices['model']}, {choices['method']}, keep {record['budget']['keep']:g}"


def _line(axes: Axes, found: Mapping[str, Any]) -> None:
    for name, colour in NETWORKS.items():
        losses = found[name]["line"]
        axes.plot(np.linspace(-found["radius"], found["radius"], len(losses)), losses, color=colour, label=name)
    axes.set(yscale="log", xlabel="filter norms along a direction", ylabel=f"loss of {found['examples']} examples")


def _planes(figure: Figure, row: Sequence[Axes], found: Mapping[str, Any]) -> None:
    planes = {name: np.log10(np.maximum(found[name]["plane"], 1e-8)) for name in NETWORKS}
    levels = np.linspace(min(p.min() for p in planes.values()), max(p.max() for p in planes.values()) + 1e-9, 15)
    for axes, (name, plane) in zip(row, planes.items(), strict=True):
        steps = np.linspace(-found["radius"], found["radius"], len(plane))
        drawn = axes.contourf(steps, steps, plane, levels=levels, cmap="cividis")
        axes.plot(0, 0, "+", color="white")
        axes.set_title(f"{name}: top eigenvalue {found[name]['top_eigenvalue']:.3g}", fontsize=9)
        axes.set_aspect("equal")
    figure.colorbar(drawn, ax=row, label="log₁₀ loss", shrink=0.8, format="%.1f")
