"""The trade-off between quality and size: what methods achieve in each cell, over seeds."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import product

import pandas as pd
from natsort import natsort_keygen, ns

from benchmarks.frame import CELL, PANEL, SEPARATOR
from benchmarks.statistics import holm, mean_interval, paired_difference, paired_p

ORDER = ("dense", "shapley", "magnitude", "random", "gradual")  # then alphabetically
NATURAL = natsort_keygen(alg=ns.FLOAT)  # samples=4 before samples=16
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
    latencies seconds; `best` and `tied` mark who leads a cell; a row with n = 0 stands for runs that are missing.
    Sorted for reading.
    """
    rows = pd.concat([frame, _dense(frame)], ignore_index=True)
    keys = [*CELL, "label"]
    table = pd.DataFrame([dict(zip(keys, key, strict=True)) | _summary(group) for key, group in rows.groupby(keys)])
    table = led(table, frame, CELL)
    missing = _missing(table).assign(best=False, tied=False)
    return _sorted(pd.concat([table, missing], ignore_index=True) if len(missing) else table)


def _dense(frame: pd.DataFrame) -> pd.DataFrame:
    """A row for each dense network; its latencies, measured in every run, are averaged."""
    keys = [*PANEL, "dense_label", "seed"]
    measured = [column for column in frame if column.startswith("dense_") and column not in keys]
    networks = frame.groupby(keys, as_index=False)[measured].mean()
    return networks.rename(columns=lambda name: name.removeprefix("dense_")).assign(keep=1.0)


def _summary(rows: pd.DataFrame) -> dict[str, float]:
    quality, half_width = mean_interval(100 * rows["quality"])
    pairs, difference, difference_half_width = against_magnitude(rows)
    return {
        "n": len(rows),
        "rejected": rows["rejected"].sum(min_count=1),
        "contention": rows["contention"].max(),
        "achieved": rows["achieved"].mean(),
        "quality": quality,
        "quality_ci95": half_width,
        "pairs": pairs,
        **dict(zip(("unrecovered", "unrecovered_ci95"), mean_interval(100 * rows["unrecovered"]), strict=True)),
        "difference": difference,
        "difference_ci95": difference_half_width,
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


def against_magnitude(rows: pd.DataFrame) -> tuple[int, float, float]:
    """How many rows have a partner in magnitude pruning, and by how many points they differ: mean and half width."""
    pairs = 100 * rows[["quality", "magnitude_quality"]].dropna()
    return (len(pairs), *(paired_difference(*pairs.to_numpy().T) if len(pairs) else (float("nan"), float("nan"))))


def led(table: pd.DataFrame, runs: pd.DataFrame, cell: Sequence[str]) -> pd.DataFrame:
    """The table with `best` and `tied`: who leads, by `quality`, among the runs that agree in the columns `cell`."""
    said = {(*key, label): verdict for key, rows in runs.groupby(list(cell)) for label, verdict in _verdicts(rows)}
    found = [said.get(key) for key in table[[*cell, "label"]].itertuples(index=False, name=None)]
    return table.assign(best=[v == "best" for v in found], tied=[v == "tied" for v in found])


def _verdicts(rows: pd.DataFrame) -> Iterator[tuple[str, str]]:
    """In a cell, who is `best`: the highest mean, if it beats every other beyond chance; if not, who is `tied` for it.

    Paired t tests on shared seeds, adjusted for the number of others (Holm 1979), at 5 %. A label with one seed leads
    nobody, and who shares fewer than two seeds with the leader cannot be told from it.
    """
    quality = rows.pivot(index="seed", columns="label", values="quality")
    several = quality.loc[:, quality.count() > 1]
    if several.empty or quality.shape[1] == 1:
        return
    first = several.mean().idxmax()
    pairs = {label: quality[[first, label]].dropna() for label in quality if label != first}
    tested = {label: paired_p(pair[first], pair[label]) if len(pair) > 1 else 1.0 for label, pair in pairs.items()}
    tied = [label for label, p in zip(tested, holm(list(tested.values())), strict=True) if p >= 0.05]
    yield first, "tied" if tied else "best"
    yield from ((label, "tied") for label in tied)


def _missing(table: pd.DataFrame) -> pd.DataFrame:
    """Rows without a run, for every label that has some in the same panel at another fraction."""
    pruned = table[~table["label"].str.startswith("dense")]
    wanted = [
        {**dict(zip(PANEL, key, strict=True)), "keep": keep, "label": label, "n": 0}
        for key, panel in pruned.groupby(PANEL)
        for keep, label in product(panel["keep"].unique(), panel["label"].unique())
        if not ((panel["keep"] == keep) & (panel["label"] == label)).any()
    ]
    return pd.DataFrame(wanted, columns=[*CELL, "label", "n"])


def _sorted(table: pd.DataFrame) -> pd.DataFrame:
    rank = {label: place for place, label in enumerate(by_order(table["label"].unique()))}
    keys = table[PANEL].assign(down=-table["keep"], rank=table["label"].map(rank))
    return table.loc[keys.sort_values(list(keys)).index].reset_index(drop=True)


def by_order(labels: Iterable[str]) -> list[str]:
    """Labels as they are listed everywhere: by method in ORDER, then alphabetically, numbers by their size."""
    rank = {method: place for place, method in enumerate(ORDER)}
    return sorted(labels, key=lambda label: (rank.get(label.split(SEPARATOR)[0], len(ORDER)), NATURAL(label)))
