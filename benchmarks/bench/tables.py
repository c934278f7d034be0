"""The tables of a bench's record, in Markdown."""

from collections.abc import Mapping, Sequence
from statistics import mean, median
from typing import Any

import pandas as pd

from benchmarks.bench.contests import GOAL, SAMPLES, TABLED
from benchmarks.bench.cost import SIDE

STOCK = "permutation"
PRODUCT = 2 * SIDE**3  # floating-point operations


def markdown(cost: Mapping[str, Any], races: Mapping[str, Any]) -> str:
    """What an evaluation costs, how near estimators come, and how long they take to rank as the reference does."""
    runs = pd.DataFrame(races["races"])
    parts = [
        "# Shapley values: cost and error\n",
        f"## One evaluation\n\n{_about(cost)}\n{_costs(pd.DataFrame(cost['costs']))}\n",
        f"## Error at equal evaluations\n\n{_about(races)}\n{_errors(runs)}\n",
        f"## To a rank correlation of {GOAL}\n\n{_goals(runs)}",
    ]
    return "\n".join(parts)


def _about(record: Mapping[str, Any]) -> str:
    machine, versions = record["machine"], record["versions"]
    return (
        f"{machine['cpu']}, {machine['threads']} of {machine['cores']} cores, torch {versions['torch']}, captum "
        f"{versions['captum']}, commit {record['commit']}.\n"
    )


def _costs(costs: pd.DataFrame) -> str:
    rows = [_cost(cell) for _, cell in costs.iterrows()]
    rows += [_all_groups(name, cells) for name, cells in costs.groupby("network", sort=False)]
    turns = len(costs["seconds"][0]["game"])
    note = (
        f"Milliseconds to evaluate one coalition on 256 examples, median of {turns} turns: the suite's game, (a) "
        "Captum's sampler on a hook that masks, and (b) the same on a prefix that is cached by hand. Ratios: median "
        "over turns (least–most). Peak: floating-point operations of the game over those of a product of two large "
        f"matrices in the same time, by turns with the rest (median {PRODUCT / _products(costs) / 1e9:.0f} GFLOP/s). "
        "Prepared: seconds to make a game, once. All groups: means over their units.\n"
    )
    return f"{note}\n{_table(rows)}\n"


def _products(costs: pd.DataFrame) -> float:
    """Seconds of a matrix product."""
    return median(seconds for cell in costs["seconds"] for seconds in cell["product"])


def _cost(cell: pd.Series) -> dict[str, str]:
    seconds = cell["seconds"]
    used = cell["flops"] / PRODUCT * median(seconds["product"]) / median(seconds["game"])
    return {
        "network": cell["network"],
        "group": cell["group"],
        "units": str(cell["players"]),
        **{
            way: f"{1000 * median(seconds[key]):.3g}"
            for way, key in (("game", "game"), ("(a)", "hook"), ("(b)", "prefix"))
        },
        "(a) ÷ game": _ratio(seconds["hook"], seconds["game"]),
        "(b) ÷ game": _ratio(seconds["prefix"], seconds["game"]),
        "peak": f"{used:.0%}",
        "prepared": f"{cell['made']:.2g}",
    }


def _all_groups(name: str, cells: pd.DataFrame) -> dict[str, str]:
    """One unit of any group, by turns."""
    total = {
        way: [
            sum(n * s[way][turn] for n, s in zip(cells["players"], cells["seconds"], strict=True))
            / cells["players"].sum()
            for turn in range(len(cells["seconds"].iloc[0][way]))
        ]
        for way in ("game", "hook", "prefix", "product")
    }
    cell = pd.Series({"network": name, "group": "**all**", "players": cells["players"].sum(), "seconds": total})
    row = _cost(pd.concat([cell, pd.Series({"flops": 0.0, "made": cells["made"].sum()})]))
    return {**row, "peak": ""}


def _ratio(theirs: Sequence[float], ours: Sequence[float]) -> str:
    ratios = sorted(a / b for a, b in zip(theirs, ours, strict=True))
    low, middle, high = (
        f"{ratio:,.0f}" if ratio >= 100 else f"{ratio:.1f}" for ratio in (ratios[0], median(ratios), ratios[-1])
    )
    return f"{middle}× ({low}–{high})"


def _errors(races: pd.DataFrame) -> str:
    """Relative L2 and Spearman by network, at equal evaluations."""
    rows = []
    for estimator, of_one in races.groupby("estimator", sort=False):
        row = {"estimator": str(estimator)}
        for network, cells in of_one.groupby("network", sort=False):
            for samples in TABLED:
                runs = [run for runs in cells["runs"][cells["samples"] == samples] for run in runs]
                row[f"{network} {samples}n"] = (
                    f"{mean(run['error'] for run in runs):.2f} / {mean(run['spearman'] for run in runs):.2f}"
                )
        rows.append(row)
    games = races.drop_duplicates(["network", "group"])
    note = (
        "Relative L2 distance / rank correlation to the reference at 5, 20 and 50 evaluations a unit, means over "
        f"{len(races['runs'][0])} seeds and the games of each network (trained on the digits, 144 validation "
        "digits, worth: −cross-entropy). References: "
        + "; ".join(
            f"{game.network} {game.group}, {game.players} units: "
            + ("exact" if game.reference_error == 0 else f"antithetic, error {game.reference_error:.1%}")
            for game in games.itertuples()
        )
        + ".\n"
    )
    return f"{note}\n{_table(rows)}\n"


def _goals(races: pd.DataFrame) -> str:
    """Evaluations a unit and seconds until the goal, by game, and against Captum's sampler as it comes."""
    rows = []
    stock = {game: _goal(cells) for game, cells in races[races["estimator"] == STOCK].groupby(["network", "group"])}
    hook = {game: median(cells["hook_seconds"].iloc[0]) for game, cells in races.groupby(["network", "group"])}
    for estimator, of_one in races.groupby("estimator", sort=False):
        row = {"estimator": str(estimator)}
        for network, of_network in of_one.groupby("network", sort=False):
            goals = {game: _goal(cells) for game, cells in of_network.groupby(["network", "group"], sort=False)}
            row |= {
                f"{network} {group}": f"{goal['samples']:.0f}n" if goal else "–" for (_, group), goal in goals.items()
            }
            row |= _against_stock(str(network), goals, stock, hook)
        rows.append(row)
    note = (
        f"Evaluations (per unit) until the mean rank correlation with the reference is {GOAL}, by game (–: not within "
        f"{SAMPLES[-1]}), and seconds on a network's games, made anew for each seed. Evaluations ÷, seconds ÷: how "
        "many times more Captum's sampler takes, as it comes (on a hook; its seconds are evaluations × measured "
        "seconds of one); the geometric mean of the games, and the ratio of the sums.\n"
    )
    return f"{note}\n{_table(rows)}\n"


def _goal(cells: pd.DataFrame) -> dict[str, float] | None:
    """Samples, evaluations and seconds at the first step with the goal."""
    for cell in cells.sort_values("samples").itertuples():
        if mean(run["spearman"] for run in cell.runs) >= GOAL:
            measured = {key: mean(run[key] for run in cell.runs) for key in ("evaluations", "seconds")}
            return {"samples": cell.samples, **measured}
    return None


def _against_stock(network: str, goals: Mapping, stock: Mapping, hook: Mapping) -> dict[str, str]:
    if not all(goals.values()) or not all(stock[game] for game in goals):
        return {f"{network} s": "", f"{network} evaluations ÷": "", f"{network} seconds ÷": ""}
    seconds = sum(goal["seconds"] for goal in goals.values())
    fewer = [stock[game]["evaluations"] / goal["evaluations"] for game, goal in goals.items()]
    theirs = sum(stock[game]["evaluations"] * hook[game] for game in goals)
    product = pd.Series(fewer).prod() ** (1 / len(fewer))
    return {
        f"{network} s": f"{seconds:.2g}",
        f"{network} evaluations ÷": f"{product:.1f}",
        f"{network} seconds ÷": f"{theirs / seconds:,.0f}",
    }


def _table(rows: Sequence[Mapping[str, str]]) -> str:
    table = pd.DataFrame(rows).fillna("")
    sides = ["left" if column in ("network", "group", "estimator") else "right" for column in table]
    return table.to_markdown(index=False, disable_numparse=True, colalign=sides)
