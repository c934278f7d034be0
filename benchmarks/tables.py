"""The trade-off between accuracy and size, for people (Markdown, LaTeX) and for programs (CSV)."""

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
    "compression",
    "nonzero_compression",
    "speedup_macs",
    "bytes_ratio",
)
COSTS = ("scoring_seconds", "evaluations", "recovery_seconds", "training_seconds")
NOTES = """\
- n: seeds. ± is the half width of the 95 % Student t interval over seeds; one seed has none.
- accuracy %: top-1 on the test set. vs magnitude: difference in points to magnitude pruning, paired by seed \
(in brackets: the number of pairs, where it is not n); empty without a partner.
- unrecovered %: top-1 on the validation part right after the last removal, before the recovery that follows it.
- **Bold**: the best of its keep, where the 95 % interval of its paired difference to the runner-up excludes 0 \
(not corrected for many comparisons).
- compression: parameters, dense ÷ pruned (non-zero: those that are not zero; shown where it differs); \
file: the same of bytes on disk; MACs: of multiply-accumulates, the theoretical speed-up.
- latency @b: measured speed-up at batch b, the mean over seeds of median dense ÷ median pruned time; with one \
seed, ± is half of the 95 % bootstrap interval over its samples. control: the same for a mask of zeros, which saves \
no time: 1.00 if the timing is sound.
- scoring s, evaluations: what the scores of a run cost, in seconds and forward passes, mean over seeds.
"""


def tradeoff(frame: pd.DataFrame) -> pd.DataFrame:
    """Accuracy, size, speed and cost of every label in every cell, over seeds, the dense networks included.

    frame: benchmarks.frame.frame(records). Accuracies are percent, differences points, `*_ci95` half widths,
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
    accuracy, half_width = mean_interval(100 * rows["accuracy"])
    pairs = rows.dropna(subset=["magnitude_accuracy"])
    difference = (float("nan"), float("nan"))
    if len(pairs):
        difference = paired_difference(100 * pairs["accuracy"], 100 * pairs["magnitude_accuracy"])
    return {
        "n": len(rows),
        "accuracy": accuracy,
        "accuracy_ci95": half_width,
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
    """The label with the highest mean accuracy in a cell, if it beats the second on the seeds of both."""
    accuracy = rows.pivot(index="seed", columns="label", values="accuracy")
    if accuracy.shape[1] < 2:
        return None
    first, second = accuracy.mean().nlargest(2).index
    pairs = accuracy[[first, second]].dropna()
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


def csv(table: pd.DataFrame) -> str:
    """All columns and raw numbers of a trade-off table, to six digits."""
    return table.to_csv(index=False, float_format="%.6g", lineterminator="\n")


def markdown(table: pd.DataFrame) -> str:
    """A sub-table for every data set, model and budget, under a heading and a line on the dense network."""
    return "\n".join(_markdown(*key, panel) for key, panel in table.groupby(PANEL))


def _markdown(dataset: str, model: str, of: str, panel: pd.DataFrame) -> str:
    cells = _cells(panel)
    for column in ("method", "accuracy %"):
        cells[column] = cells[column].where(~panel["best"], "**" + cells[column] + "**")
    sides = ["left" if column == "method" else "right" for column in cells]
    text = cells.to_markdown(index=False, disable_numparse=True, colalign=sides)
    return f"## {dataset} · {model}, budget in {of}\n\n{_dense_line(panel)}\n\n{text}\n"


def _dense_line(panel: pd.DataFrame) -> str:
    dense = panel.iloc[0]
    times = [
        f"{1000 * dense[column]:.3g} ms at batch {column.removeprefix('latency_')}"
        for column in panel.filter(regex="^latency_").dropna(axis=1)
    ]
    sizes = f"{dense['parameters']:,.0f} parameters, {dense['macs']:,.0f} MACs, {dense['bytes'] / 1000:,.1f} kB"
    return f"Dense: {', '.join([sizes, *times])}."


def latex(table: pd.DataFrame) -> str:
    """The same sub-tables as LaTeX floats, for the packages booktabs and graphicx."""
    floats = [_latex(*key, panel) for key, panel in table.groupby(PANEL)]
    return "% \\usepackage{booktabs,graphicx}\n" + "\n".join(floats)


def _latex(dataset: str, model: str, of: str, panel: pd.DataFrame) -> str:
    cells = _cells(panel)
    cells["keep"] = cells["keep"].mask(cells["keep"].duplicated(), "")
    bold = pd.DataFrame("", index=cells.index, columns=cells.columns)
    bold.loc[panel["best"], ["method", "accuracy %"]] = "textbf:--rwrap;"
    style = cells.style.hide(axis="index").apply(lambda _: bold, axis=None)
    style = style.format(escape="latex").format_index(escape="latex", axis="columns")
    caption = f"{dataset}, {model}, budget in {of}. {_dense_line(panel)}".replace("_", "\\_")
    return _typeset(
        style.to_latex(
            hrules=True,
            column_format="rl" + "r" * (cells.shape[1] - 2),
            environment="table*",
            position_float="centering",
            caption=caption,
            label=f"tab:{dataset}-{model}-{of}",
        )
    )


def _typeset(text: str) -> str:
    """Signs that LaTeX has commands for, and a width that a page has."""
    for sign, command in {"±": "$\\pm$", "×": "$\\times$", "−": "$-$", "·": "$\\cdot$"}.items():
        text = text.replace(sign, command)
    text = text.replace("\\begin{tabular}", "\\resizebox{\\textwidth}{!}{%\n\\begin{tabular}")
    return text.replace("\\end{tabular}", "\\end{tabular}}")


def _cells(panel: pd.DataFrame) -> pd.DataFrame:
    """A trade-off table as it is read: one column of text for each number and its interval."""
    text = {
        "keep": panel["keep"].map("{:g}".format),
        "method": panel["label"],
        "n": panel["n"].map(str),
        "accuracy %": _interval(panel, "accuracy", "{:.1f}"),
        "vs magnitude": _difference(panel),
        "unrecovered %": _interval(panel, "unrecovered", "{:.1f}"),
        "compression": _text(panel["compression"], "{:.2f}×"),
        "non-zero": _text(panel["nonzero_compression"], "{:.2f}×"),
        "file": _text(panel["bytes_ratio"], "{:.2f}×"),
        "MACs": _text(panel["speedup_macs"], "{:.2f}×"),
        **{
            f"latency @{column.rsplit('_', 1)[1]}": _interval(panel, column, "{:.2f}", "×")
            for column in panel.filter(regex=r"^speedup_latency_\d+$").dropna(axis=1, how="all")
        },
        "control": _controls(panel),
        "scoring s": _text(panel["scoring_seconds"], "{:.3g}"),
        "evaluations": _text(panel["evaluations"], "{:,.0f}"),
    }
    if text["non-zero"].equals(text["compression"]):
        del text["non-zero"]
    return pd.DataFrame(text)


def _text(values: pd.Series, form: str) -> pd.Series:
    return values.map(lambda value: "" if pd.isna(value) else form.format(value).replace("-", "−"))


def _interval(panel: pd.DataFrame, column: str, form: str, unit: str = "") -> pd.Series:
    half_width = form.replace("+", "")
    return _text(panel[column], f"{form}{unit}") + _text(panel[f"{column}_ci95"], f" ± {half_width}")


def _difference(panel: pd.DataFrame) -> pd.Series:
    incomplete = (panel["pairs"] > 0) & (panel["pairs"] < panel["n"])
    pairs = panel["pairs"].map(" ({})".format).where(incomplete, "")
    return _interval(panel, "difference", "{:+.1f}") + pairs


def _controls(panel: pd.DataFrame) -> pd.Series:
    """The ratios of all batch sizes in one column."""
    controls = panel.filter(regex="^control_").dropna(axis=1, how="all").apply(_text, form="{:.2f}")
    return controls.agg(lambda row: " / ".join(filter(None, row)), axis=1)
