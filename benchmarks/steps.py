"""The paper's steps, each a figure of one run: game, worths, value, ranking, pruning, compression, deployment."""

from collections.abc import Iterator, Mapping, Sequence
from os.path import commonprefix
from statistics import median
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

KEPT, GONE, PLAIN = "#0072B2", "#D55E00", "#999999"  # Okabe & Ito 2008
COALITIONS, UNITS = 8, 16  # of the first figure


def chosen(records: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """The run that is shown: that which tells most, by Shapley values if there is one, of the first seed."""

    def order(record: Mapping[str, Any]) -> tuple:
        tells = len(record["analysis"]) + bool(record["artefacts"])
        return -tells, record["choices"]["method"] != "shapley", record["seed"], -record["budget"]["keep"], record["id"]

    return min(records, key=order)


def steps(record: Mapping[str, Any]) -> Iterator[tuple[str, Figure]]:
    """The figures that a run has the numbers for, by their names."""
    if game := record["analysis"].get("game"):
        orders, worths = np.array(game["orders"]), np.array(game["worths"])
        yield "step_1_game", _figure(record, lambda axes: _game(axes, orders, worths), f"the game of {game['group']}")
        yield "step_2_worths", _figure(record, lambda axes: _by_size(axes, worths), f"worth by size, {game['group']}")
        yield "step_3_value", _figure(record, lambda axes: _value(axes, orders, worths), f"a unit of {game['group']}")
    if record["rounds"][0]["scores"]:
        yield "step_4_ranking", _figure(record, lambda axes: _ranking(axes, record), "units in order of their scores")
        height = max(3.0, 1.4 + 0.2 * len(record["rounds"][0]["scores"]))
        yield "step_5_pruning", _figure(record, lambda axes: _widths(axes, record), "widths before and after", height)
    if record["artefacts"]:
        yield "step_7_compression", _figure(record, lambda axes: _sizes(axes, record), "size through the stages")
        yield "step_8_deployment", _figure(record, lambda axes: _path(axes, record), "latency of what is shipped")


def _figure(record: Mapping[str, Any], draw, title: str, height: float = 4) -> Figure:
    figure = Figure(figsize=(6.4, height), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    draw(axes)
    choices = record["choices"]
    run = f"{choices['dataset']} · {choices['model']} · {choices['method']}, keep {record['budget']['keep']:g}"
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_title(f"{title}\n{run}, seed {record['seed']}", fontsize=10)
    return figure


def _game(axes: Axes, orders: np.ndarray, worths: np.ndarray) -> None:
    """Coalitions of increasing size: who is in, and what they are worth together."""
    sizes = np.linspace(0, orders.shape[1], COALITIONS).round().astype(int)
    for row, size in enumerate(sizes):
        inside = orders[row % len(orders), :size]
        there = np.isin(np.arange(min(UNITS, orders.shape[1])), inside)
        place = np.arange(len(there))
        axes.scatter(place, np.full(len(there), row), s=90, c=np.where(there, KEPT, "white"), edgecolors=PLAIN)
        axes.text(len(there) + 0.2, row, f"{size} in: v = {worths[row % len(orders), size]:.3g}", va="center")
    shown = min(UNITS, orders.shape[1])
    told = "unit" if shown == orders.shape[1] else f"unit (the first {shown} of {orders.shape[1]})"
    axes.set(xlabel=told, ylabel="coalition", xticks=range(0, shown, 2), yticks=[], xlim=(-1, shown + 6))
    axes.invert_yaxis()


def _by_size(axes: Axes, worths: np.ndarray) -> None:
    sizes = np.arange(worths.shape[1])
    axes.plot(sizes, worths.T, color=PLAIN, alpha=0.35, linewidth=0.8)
    axes.plot(sizes, worths.mean(axis=0), color=KEPT, linewidth=2, label=f"mean of {len(worths)} orders")
    axes.set(xlabel="units in the coalition", ylabel="worth")
    axes.legend(frameon=False)


def _value(axes: Axes, orders: np.ndarray, worths: np.ndarray) -> None:
    """The unit of the largest value: what it adds in each order, and the mean of that."""
    entered = orders.argsort(axis=1)
    added = np.take_along_axis(np.diff(worths, axis=1), entered, axis=1)  # (orders, units)
    unit = int(added.mean(axis=0).argmax())
    value, error = added[:, unit].mean(), added[:, unit].std(ddof=1) / np.sqrt(len(added))
    axes.scatter(entered[:, unit], added[:, unit], color=PLAIN, label=f"what unit {unit} adds, order by order")
    axes.axhline(value, color=KEPT, label=f"its Shapley value: {value:.3g} ± {error:.2g} (s.e., n = {len(added)})")
    axes.axhspan(value - error, value + error, color=KEPT, alpha=0.2)
    axes.set(xlabel="units that are there before it", ylabel="marginal contribution")
    axes.legend(frameon=False)


def _ranking(axes: Axes, record: Mapping[str, Any]) -> None:
    """Of the group with most units: scores of the dense network with standard errors, and who stays in the end."""
    first, kept = record["rounds"][0], record["rounds"][-1]["kept"]
    group = max(first["scores"], key=lambda name: (len(first["scores"][name]), name))
    scores = np.array(first["scores"][group], dtype=float)
    errors = np.array(first["standard_errors"].get(group) or [0.0] * len(scores), dtype=float)
    order = scores.argsort()[::-1]
    stays = np.isin(order, kept[group])
    for these, colour, label in ((stays, KEPT, "stays"), (~stays, GONE, "goes")):
        place = np.flatnonzero(these)
        axes.bar(place, scores[order][place], color=colour, label=f"{label}: {len(place)}")
    axes.errorbar(range(len(scores)), scores[order], np.nan_to_num(errors), fmt="none", ecolor="black", linewidth=0.6)
    axes.set(xlabel=f"units of {group}, the best first", ylabel="score")
    axes.legend(frameon=False)


def _widths(axes: Axes, record: Mapping[str, Any]) -> None:
    """A bar for each group, from the input to the output; what all names begin with is left out."""
    first, last = record["rounds"][0], record["rounds"][-1]
    names = list(last["kept"])
    before, after = ([len(of[name]) for name in names] for of in (first["scores"], last["kept"]))
    place = np.arange(len(names))
    wide = axes.barh(place, before, color=PLAIN, alpha=0.5)
    wide.set_label(f"dense: {record['metric']} {_percent(record, 'dense')} (test)")
    told = f"pruned: {last['before']:.1%} before recovery, {last['after']:.1%} after (validation)"
    axes.barh(place, after, color=KEPT, label=f"{told}, {_percent(record, 'pruned')} (test)")
    axes.bar_label(wide, [f"{b} → {a}" for b, a in zip(before, after, strict=True)], fontsize=7, padding=2)
    axes.set(xlabel="units", xlim=(0, 1.15 * max(before)))
    axes.set_yticks(place, [name.removeprefix(commonprefix(names)) or name for name in names], fontsize=7)
    axes.invert_yaxis()
    axes.figure.legend(frameon=False, fontsize=8, loc="outside lower center")


def _percent(record: Mapping[str, Any], network: str) -> str:
    return f"{record[network][record['metric']]:.1%}"


def _stages(record: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """A row for each stage, in its first form; controls are none."""
    first: dict[str, Mapping[str, Any]] = {}
    for artefact in record["artefacts"]:
        if artefact["network"] != "control":
            first.setdefault(artefact["network"], artefact)
    return list(first.values())


def _sizes(axes: Axes, record: Mapping[str, Any]) -> None:
    stages = [a for a in _stages(record) if "bytes" in a]
    place = np.arange(len(stages))
    for kind, colour, aside in (("bytes", KEPT, -0.2), ("coded_bytes", GONE, 0.2)):
        sizes = np.array([a[kind] for a in stages]) / 1000
        bars = axes.bar(place + aside, sizes, 0.4, color=colour, label={"bytes": "file"}.get(kind, "entropy-coded"))
        axes.bar_label(bars, [f"{size:,.0f}" for size in sizes], fontsize=7)
    axes.set_xticks(place, [f"{a['network']}\n{a[record['metric']]:.1%}" for a in stages], fontsize=8)
    axes.set(ylabel="kB")
    axes.legend(frameon=False)


def _path(axes: Axes, record: Mapping[str, Any]) -> None:
    """Latency of every stage in every form as a share of the first one's, the dense network's; bars begin at zero."""
    rows = [a for a in record["artefacts"] if a["network"] != "control"]
    place = np.arange(len(rows))
    threads = min(rows[0]["latency"], key=int)
    batches = sorted((b for b in rows[0]["latency"][threads] if b != "contention"), key=int)
    wide = 0.8 / len(batches)
    for number, batch in enumerate(batches):
        times = np.array([1000 * median(a["latency"][threads][batch]) for a in rows])
        there, colour = place + wide * (number - (len(batches) - 1) / 2), (KEPT, GONE)[number % 2]
        bars = axes.barh(there, 100 * times / times[0], wide, color=colour, label=f"batch {batch}")
        axes.bar_label(bars, [f"{time:.3g} ms" for time in times], fontsize=7, padding=2)
    axes.set_yticks(place, [f"{a['network']} · {a['engine']}" for a in rows], fontsize=8)
    axes.invert_yaxis()
    axes.margins(x=0.12)
    first, cores = f"{rows[0]['network']} · {rows[0]['engine']}", f"{threads} thread{'s' * (threads != '1')}"
    axes.set_xlabel(f"latency, % of {first}; {cores}")
    axes.figure.legend(frameon=False, fontsize=8, loc="outside lower center", ncols=len(batches))
