"""The trade-off between quality and size: what methods achieve in each cell, over seeds."""

from collections.abc import Iterable, Iterator

import pandas as pd

from benchmarks.frame import CELL, PANEL, SEPARATOR
from benchmarks.statistics import mean_interval, paired_difference

ORDER = ("dense", "shapley", "magnitude", "random", "gradual")  # then alphabetically
MEANS = (
    "parameters",
    "nonzero_parameters",
    "macs",
    "bytes",
    "compression_ratio",
    "nonzero_compression_ratio",
    "speedup_macs",
    "bytes_ratio",
)
COSTS = ("scoring_seconds", "evaluations", "recovery_seconds", "training_seconds")


def tradeoff(frame: pd.DataFrame) -> pd.DataFrame:
    """Quality, size, speed and cost of every label in every cell, over seeds, the dense networks included.

    frame: benchmarks.frame.frame(records). Qualities are percent, differences points, `*_ci95` half widths,
    latencies seconds; `best` marks who beats the runner-up of the cell beyond chance. Sorted for reading.
    """
    rows = pd.concat([frame, _dense(frame)], ignore_index=True)
    keys = [*CELL, "label"]
    table = pd.DataFrame([dict(zip(keys, key, strict=True)) | _summary(group) for key, group in rows.groupby(keys)])
    best = {(*key, _best(group)) for key, group in frame.groupby(CELL)}
    table["best"] = [key in best for key in table[keys].itertuples(index=False, name=None)]
    return _sorted(table)


def _dense(frame: pd.DataFrame) -> pd.DataFrame:
    """A row for each dense network; its latencies, measured in every run, are averaged."""
    keys = [*PANEL, "dense_label", "seed"]
    measured = [column for column in frame if column.startswith("dense_") and column not in keys]
    networks = frame.groupby(keys, as_index=False)[measured].mean()
    return networks.rename(columns=lambda name: name.removeprefix("dense_")).assign(keep=1.0)


def _summary(rows: pd.DataFrame) -> dict[str, float]:
    quality, half_width = mean_interval(100 * rows["quality"])
    pairs = rows.dropna(subset=["magnitude_quality"])
    difference = (float("nan"), float("nan"))
    if len(pairs):
        difference = paired_difference(100 * pairs["quality"], 100 * pairs["magnitude_quality"])
    return {
        "n": len(rows),
        "rejected": rows["rejected"].sum(min_count=1),
        "contention": rows["contention"].max(),
        "quality": quality,
        "quality_ci95": half_width,
        "pairs": len(pairs),
        **dict(zip(("unrecovered", "unrecovered_ci95"), mean_interval(100 * rows["unrecovered"]), strict=True)),
        "difference": difference[0],
        "difference_ci95": difference[1],
        **rows[list(MEANS)].mean(),
        **dict(_latencies(rows)),
        **rows[list(COSTS)].mean(),
    }


def _latencies(rows: pd.DataFrame) -> Iterator[tuple[str, float]]:
    for batch in (column.removeprefix("control_") for column in rows.filter(regex="^control_")):
        speedup, half_width = mean_interval(rows[f"speedup_latency_{batch}"])
        within_run = rows[f"speedup_latency_{batch}_ci95"].iloc[0]
        yield f"latency_{batch}", rows[f"latency_{batch}"].mean()
        yield f"speedup_latency_{batch}", speedup
        yield f"speedup_latency_{batch}_ci95", half_width if len(rows) > 1 else within_run
        yield f"control_{batch}", rows[f"control_{batch}"].mean()


def _best(rows: pd.DataFrame) -> str | None:
    """The label with the highest mean quality in a cell, if it beats the second on the seeds of both."""
    quality = rows.pivot(index="seed", columns="label", values="quality")
    if quality.shape[1] < 2:
        return None
    first, second = quality.mean().nlargest(2).index
    pairs = quality[[first, second]].dropna()
    if pairs.empty:
        return None
    difference, half_width = paired_difference(pairs[first], pairs[second])
    return first if difference - half_width > 0 else None


def _sorted(table: pd.DataFrame) -> pd.DataFrame:
    rank = {label: place for place, label in enumerate(by_order(table["label"].unique()))}
    keys = table[PANEL].assign(down=-table["keep"], rank=table["label"].map(rank))
    return table.loc[keys.sort_values(list(keys)).index].reset_index(drop=True)


def by_order(labels: Iterable[str]) -> list[str]:
    """Labels as they are listed everywhere: by method in ORDER, then alphabetically."""
    rank = {method: place for place, method in enumerate(ORDER)}
    return sorted(labels, key=lambda label: (rank.get(label.split(SEPARATOR)[0], len(ORDER)), label))
