"""A trade-off table as it is read: a column of text for each number and its interval."""

import pandas as pd

from benchmarks.typesetting import Table, difference, heading, interval, marked, text

BUSY = 0.1  # contention from which on latencies are flagged

NOTES = """\
- n: seeds. ± is the half width of the 95 % Student t interval over seeds; one seed has none.
- accuracy %: top-1 on the test set; other tasks report another metric. vs magnitude: difference in points to \
magnitude pruning, paired by seed (in brackets: the number of pairs, where it is not n); empty without a partner.
- unrecovered %: the same on the validation part right after the last removal, before the recovery that follows it.
- **Bold**: the best of its keep, beyond chance against every other; ≈: those who cannot be told from the best, where \
there is no such winner (paired t tests on shared seeds, 5 %, corrected for their number by Holm's method). \
achieved: the fraction that was kept, where keep was asked. missing: no run.
- compression: parameters, dense ÷ pruned (non-zero: those that are not zero; shown where it differs); \
file: the same of bytes on disk; MACs: of multiply-accumulates, the theoretical speed-up.
- latency @b: measured speed-up at batch b, the mean over seeds of median dense ÷ median pruned time; with one \
seed, ± is half of the 95 % bootstrap interval over its samples. control: the same for a mask of zeros, which saves \
no time: 1.00 if the timing is sound; busy: others took more than a tenth of the processor in one of the runs.
- rejected: runs whose network lost more, on validation data, than `accept.drop` allows, after all its recoveries.
- scoring s, evaluations: what the scores of a run cost, in seconds and forward passes, mean over seeds.
"""


def table(rows: pd.DataFrame) -> Table:
    """What benchmarks.tables.tradeoff tells, to be read."""
    return Table("tradeoff", "Quality against size", rows, _cells, NOTES, heading, _dense_line)


def _dense_line(panel: pd.DataFrame) -> str:
    dense = panel.iloc[0]
    times = [
        f"{1000 * dense[column]:.3g} ms at batch {column.removeprefix('latency_')}"
        for column in panel.iloc[[0]].filter(regex="^latency_").dropna(axis=1)
    ]
    sizes = f"{dense['parameters']:,.0f} parameters, {dense['macs']:,.0f} MACs, {dense['bytes'] / 1000:,.1f} kB"
    return f"Dense: {', '.join([sizes, *times])}."


def _cells(panel: pd.DataFrame) -> pd.DataFrame:
    """A trade-off table as it is read: one column of text for each number and its interval."""
    columns = {
        "keep": panel["keep"].map("{:g}".format),
        "method": panel["label"],
        "n": panel["n"].map(str),
        "rejected": text(panel["rejected"], "{:.0f}"),
        "achieved": text(panel["achieved"], "{:.3f}"),
        heading(panel["metric"].iloc[0]): marked(panel, "quality"),
        "vs magnitude": difference(panel),
        "unrecovered %": interval(panel, "unrecovered", "{:.1f}"),
        "compression": text(panel["compression_ratio"], "{:.2f}×"),
        "non-zero": text(panel["nonzero_compression_ratio"], "{:.2f}×"),
        "file": text(panel["bytes_ratio"], "{:.2f}×"),
        "MACs": text(panel["speedup_macs"], "{:.2f}×"),
        **{
            f"latency @{column.rsplit('_', 1)[1]}": interval(panel, column, "{:.2f}", "×")
            for column in panel.filter(regex=r"^speedup_latency_\d+$").dropna(axis=1, how="all")
        },
        "control": _controls(panel),
        "scoring s": text(panel["scoring_seconds"], "{:.3g}"),
        "evaluations": text(panel["evaluations"], "{:,.0f}"),
    }
    if columns["non-zero"].equals(columns["compression"]):
        del columns["non-zero"]
    if panel["rejected"].isna().all():
        del columns["rejected"]
    return pd.DataFrame(columns)


def _controls(panel: pd.DataFrame) -> pd.Series:
    """The ratios of all batch sizes in one column."""
    controls = panel.filter(regex="^control_").dropna(axis=1, how="all").apply(text, form="{:.2f}")
    busy = panel["contention"].gt(BUSY).map({True: " busy", False: ""})
    return controls.agg(lambda row: " / ".join(filter(None, row)), axis=1) + busy
