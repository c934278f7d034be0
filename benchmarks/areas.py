"""The area under the curve of quality against removal: one number for a method over all budgets."""

import numpy as np
import pandas as pd

from benchmarks.frame import PANEL
from benchmarks.statistics import mean_interval


def areas(frame: pd.DataFrame) -> pd.DataFrame:
    """Mean quality over the fractions removed, by data set, model and label: `area` in percent with `area_ci95`.

    frame: benchmarks.frame.frame(records). Each seed's curve begins at its dense network and is joined by straight
    lines (the protocol of Ancona et al. 2020); a seed without the panel's every budget is left out. `scoring_seconds`
    is the mean over runs. Empty where a panel has a single budget.
    """
    rows = [
        {**dict(zip(PANEL, key, strict=True)), "label": label, **_summary(runs, wanted)}
        for key, panel in frame.groupby(PANEL)
        if len(wanted := sorted(panel["keep"].unique(), reverse=True)) > 1
        for label, runs in panel.groupby("label")
    ]
    found = pd.DataFrame(rows, columns=[*PANEL, "label", "n", "area", "area_ci95", "scoring_seconds"])
    return found[found["n"] > 0].reset_index(drop=True)


def _summary(runs: pd.DataFrame, keeps: list[float]) -> dict[str, float]:
    curves = runs.pivot(index="seed", columns="keep", values="quality").reindex(columns=keeps).dropna()
    dense = runs.groupby("seed")["dense_quality"].mean()[curves.index]
    found = [_area(keeps, [first, *curve]) for first, curve in zip(dense, curves.to_numpy(), strict=True)]
    area, half = mean_interval(found) if found else (float("nan"), float("nan"))
    return {"n": len(found), "area": area, "area_ci95": half, "scoring_seconds": runs["scoring_seconds"].mean()}


def _area(keeps: list[float], qualities: list[float]) -> float:
    """Percent; the first quality is that of the dense network, where nothing is removed."""
    removed = 1 - np.array([1.0, *keeps])
    return float(100 * np.trapezoid(qualities, removed) / removed[-1])
