"""The area under the curve of quality against removal: one number for a method over all budgets, and its table."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from benchmarks.frame import PANEL
from benchmarks.statistics import mean_interval
from benchmarks.tables import against_magnitude, led
from benchmarks.typesetting import Table, difference, heading, marked, text

NOTES = """\
- mean …: the area under the curve of the test metric against the fraction that is removed, divided by the largest \
fraction; in percent. A seed's curve begins at its dense network and is joined by straight lines through all budgets \
(Ancona, Öztireli & Gross 2020); a seed that lacks one of them is left out.
- rank: by the mean, in this data set, model and budget. n: seeds. ± is the half width of the 95 % Student t interval.
- **Bold**: the best, beyond chance against every other; ≈: those who cannot be told from the best, where there is no \
such winner (paired t tests on shared seeds, 5 %, Holm's correction). missing: no seed has every budget.
- vs magnitude: difference in points, paired by seed (in brackets: the number of pairs, where it is not n).
- scoring s, evaluations: what the scores of a run cost, in seconds and forward passes, mean over runs.
"""
COSTS = ["scoring_seconds", "evaluations"]


def curves(frame: pd.DataFrame) -> pd.DataFrame:
    """A row for each panel with several budgets, label and seed that has all of them: their area as `quality`.

    frame: benchmarks.frame.frame(records). `magnitude_quality` is the area of magnitude pruning over the same runs;
    both are fractions, or nan where a run is lacking.
    """
    rows = [
        {**dict(zip(PANEL, key, strict=True)), "label": label, **found}
        for key, panel in frame.groupby(PANEL)
        if len(wanted := sorted(panel["keep"].unique(), reverse=True)) > 1
        for label, runs in panel.groupby("label")
        for found in _of_seeds(runs, wanted)
    ]
    return pd.DataFrame(rows, columns=[*PANEL, "label", "seed", "quality", "magnitude_quality", *COSTS])


def _of_seeds(runs: pd.DataFrame, keeps: list[float]) -> Iterator[dict[str, float]]:
    for seed, run in runs.set_index("keep").groupby("seed"):
        run, dense = run.reindex(keeps), run["dense_quality"].mean()
        found = {name: _area(keeps, [dense, *run[name]]) for name in ("quality", "magnitude_quality")}
        yield {"seed": seed, **found, **run[COSTS].mean()}


def _area(keeps: list[float], qualities: list[float]) -> float:
    """The first quality is that of the dense network, where nothing is removed."""
    removed = 1 - np.array([1.0, *keeps])
    return float(np.trapezoid(qualities, removed) / removed[-1])


def areas(curves: pd.DataFrame) -> pd.DataFrame:
    """The leaderboard of every panel: mean `area` in percent with `area_ci95` over seeds, `rank`, `difference`, costs.

    curves: what the function of that name returns. A label with n = 0 has no seed with every budget.
    """
    keys = [*PANEL, "label"]
    rows = [{**dict(zip(keys, key, strict=True)), **_summary(seeds)} for key, seeds in curves.groupby(keys)]
    numbers = ["n", "area", "area_ci95", "pairs", "difference", "difference_ci95", *COSTS]
    table = pd.DataFrame(rows, columns=[*keys, *numbers])
    table = table.assign(rank=table.groupby(PANEL)["area"].rank(ascending=False))
    table = led(table, curves.dropna(subset=["quality"]), PANEL)
    return table.sort_values([*PANEL, "rank", "label"]).reset_index(drop=True)


def _summary(seeds: pd.DataFrame) -> dict[str, float]:
    whole = 100 * seeds["quality"].dropna()
    area, half = mean_interval(whole) if len(whole) else (float("nan"), float("nan"))
    pairs, gain, gain_half = against_magnitude(seeds)
    return {
        **{"n": len(whole), "area": area, "area_ci95": half},
        **{"pairs": pairs, "difference": gain, "difference_ci95": gain_half},
        **seeds[COSTS].mean(),
    }


def table(rows: pd.DataFrame) -> Table:
    """The same, to be read."""
    return Table("areas", "Mean quality over all budgets", rows, _cells, NOTES, _heading)


def _heading(metric: str) -> str:
    return f"mean {heading(metric)}"


def _cells(panel: pd.DataFrame) -> pd.DataFrame:
    columns = {
        "rank": text(panel["rank"], "{:g}"),
        "method": panel["label"],
        "n": panel["n"].map(str),
        _heading(panel["metric"].iloc[0]): marked(panel, "area"),
        "vs magnitude": difference(panel),
        "scoring s": text(panel["scoring_seconds"], "{:.3g}"),
        "evaluations": text(panel["evaluations"], "{:,.0f}"),
    }
    return pd.DataFrame(columns)
