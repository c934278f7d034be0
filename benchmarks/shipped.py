"""What is shipped, as a table: quality, size and speed of every stage in every form, over seeds."""

from collections.abc import Iterator, Mapping, Sequence
from statistics import median
from typing import Any

import pandas as pd

from benchmarks.frame import CELL, PANEL
from benchmarks.statistics import mean_interval, ratio_interval
from benchmarks.typesetting import Table, heading, interval, text

MEANS = ("bytes", "coded_bytes", "peak_memory", "joules", "speedup_macs")
INTERVALS = ("quality", "difference")

NOTES = """\
- stage: what was done last. form: eager is PyTorch; all numbers of a row are of that file, in that engine.
- n: runs. ± is the half width of the 95 % Student t interval over them; for latencies of a single run, of the \
bootstrap over its samples.
- kB, coded: the file, and the file entropy-coded (zstd). peak MB: memory of one forward pass on 64 examples, beside \
the engine's own. MACs: dense ÷ this, the theoretical speed-up.
- mJ: energy of one example in a batch of 64, by the machine's counters; there is no such column where nothing counts.
- t threads @b: milliseconds at batch b, and the measured speed-up against the dense network in the same form. \
control: the dense network under zeros, which save nothing: 1.00 is right.
- per s, t @b: examples a second with t threads, in batches of b.
- apart: the largest difference to PyTorch's outputs, over their standard deviation.
"""


def shipped(records: Sequence[Mapping[str, Any]], frame: pd.DataFrame) -> pd.DataFrame:
    """A row for each label, stage and form, over seeds; empty where no run exported or compressed anything.

    frame: benchmarks.frame.frame(records). Qualities are percent, latencies seconds, sizes bytes, throughputs
    examples a second; `speedup_<threads>_<batch>` is dense ÷ this in the same form.
    """
    labelled = frame[["id", *CELL, "label", "seed"]]
    rows = pd.DataFrame([row for record in records for row in _rows(record)])
    if rows.empty:
        return rows
    table = labelled.merge(rows, on="id")
    keys = [*CELL, "label", "place", "network", "engine"]
    found = [dict(zip(keys, key, strict=True)) | _summary(group) for key, group in table.groupby(keys)]
    return pd.DataFrame(found).sort_values(
        [*PANEL, "keep", "label", "place"], ascending=[True] * 4 + [False, True, True]
    )


def _rows(record: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    dense = {a["engine"]: a for a in record["artefacts"] if a["network"] == "dense"}
    for place, artefact in enumerate(record["artefacts"]):
        own = dense[artefact["engine"]]
        numbers = {key: value for key, value in artefact.items() if key != "latency"}
        quality = artefact.get(record["metric"], float("nan"))
        ratios = {"speedup_macs": own["macs"] / artefact.get("macs", float("nan")), "quality": 100 * quality}
        yield {"id": record["id"], "place": place, **numbers, **ratios, **dict(_speed(own, artefact, record["seed"]))}


def _speed(dense: Mapping[str, Any], artefact: Mapping[str, Any], seed: int) -> Iterator[tuple[str, float]]:
    """Median seconds, examples a second, and speed-up with half a run's bootstrap interval; by threads and batch."""
    for threads, by_batch in artefact["latency"].items():
        for batch in (batch for batch in by_batch if batch != "contention"):
            ratio, low, high = ratio_interval(dense["latency"][threads][batch], by_batch[batch], seed)
            yield f"latency_{threads}_{batch}", median(by_batch[batch])
            yield f"throughput_{threads}_{batch}", int(batch) / median(by_batch[batch])
            yield f"speedup_{threads}_{batch}", ratio
            yield f"speedup_{threads}_{batch}_ci95", (high - low) / 2


def _summary(rows: pd.DataFrame) -> dict[str, float]:
    speedups = [name for name in rows if name.startswith("speedup_") and name.count("_") == 2]
    means = [*MEANS, *rows.filter(regex="^(latency|throughput)_")]
    found: dict[str, float] = {"n": len(rows), **rows.reindex(columns=means).astype(float).mean()}
    for name in (*INTERVALS, *speedups):
        found[name], found[f"{name}_ci95"] = mean_interval(rows[name])
        if len(rows) == 1 and name in speedups:
            found[f"{name}_ci95"] = rows[f"{name}_ci95"].iloc[0]
    return found


def table(rows: pd.DataFrame) -> Table:
    """The same, to be read."""
    return Table("shipped", "What is shipped", rows, _cells, NOTES, heading)


def _cells(panel: pd.DataFrame) -> pd.DataFrame:
    columns = {
        "keep": panel["keep"].map("{:g}".format),
        "method": panel["label"],
        "stage": panel["network"],
        "form": panel["engine"],
        "n": panel["n"].map(str),
        heading(panel["metric"].iloc[0]): interval(panel, "quality", "{:.1f}"),
        "kB": text(panel["bytes"] / 1000, "{:,.1f}"),
        "coded": text(panel["coded_bytes"] / 1000, "{:,.1f}"),
        "peak MB": text(panel["peak_memory"] / 1e6, "{:,.0f}"),
        **({} if panel["joules"].isna().all() else {"mJ": text(1000 * panel["joules"], "{:.3g}")}),
        "MACs": text(panel["speedup_macs"], "{:.2f}×"),
        **dict(_speeds(panel)),
        "apart": text(panel["difference"].where(panel["engine"] != "eager"), "{:.1g}"),
    }
    return pd.DataFrame(columns)


def _speeds(panel: pd.DataFrame) -> Iterator[tuple[str, pd.Series]]:
    for column in panel.filter(regex="^latency_").dropna(axis=1, how="all"):
        _, threads, batch = column.split("_")
        ratio = interval(panel, f"speedup_{threads}_{batch}", "{:.2f}", "×")
        ratio = (" (" + ratio + ")").where(panel["network"] != "dense", "")
        times = text(1000 * panel[column], "{:.3g}") + ratio
        yield f"{threads} thread{'s' * (threads != '1')} @{batch}", times
        if batch != "1":
            yield f"per s, {threads} @{batch}", text(panel[f"throughput_{threads}_{batch}"], "{:,.0f}")
