"""A trade-off table as people read it (Markdown, LaTeX) and as programs do (CSV)."""

from collections.abc import Sequence
from html import escape

import pandas as pd

from benchmarks.frame import PANEL

STYLE = "body{font:15px sans-serif;margin:2em}table{border-collapse:collapse}td,th{padding:.2em .7em;text-align:right}"
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


def csv(table: pd.DataFrame) -> str:
    """All columns and raw numbers of a trade-off table, to six digits."""
    return table.to_csv(index=False, float_format="%.6g", lineterminator="\n")


def markdown(table: pd.DataFrame) -> str:
    """A sub-table for every data set, model and budget, under a heading and a line on the dense network."""
    return "\n".join(_markdown(*key, panel) for key, panel in table.groupby(PANEL))


def _markdown(dataset: str, model: str, metric: str, of: str, panel: pd.DataFrame) -> str:
    cells = _cells(panel)
    for column in ("method", heading(metric)):
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


def _latex(dataset: str, model: str, metric: str, of: str, panel: pd.DataFrame) -> str:
    cells = _cells(panel)
    cells["keep"] = cells["keep"].mask(cells["keep"].duplicated(), "")
    bold = pd.DataFrame("", index=cells.index, columns=cells.columns)
    bold.loc[panel["best"], ["method", heading(metric)]] = "textbf:--rwrap;"
    style = cells.style.hide(axis="index").apply(lambda _: bold, axis=None)
    style = style.format(escape="latex").format_index(escape="latex", axis="columns")
    caption = f"{dataset}, {model}, budget in {of}. {_dense_line(panel)}".replace("_", "\\_")
    return typeset(
        style.to_latex(
            hrules=True,
            column_format="rl" + "r" * (cells.shape[1] - 2),
            environment="table*",
            position_float="centering",
            caption=caption,
            label=f"tab:{dataset}-{model}-{of}",
        )
    )


def html(sweep: str, table: pd.DataFrame, verdicts: Sequence[str]) -> str:
    """The same sub-tables as a page of their own."""
    panels = [_html(*key, panel) for key, panel in table.groupby(PANEL)]
    said = "".join(f"<p>{escape(verdict)}</p>" for verdict in verdicts)
    notes = "".join(f"<li>{escape(line[2:])}</li>" for line in NOTES.splitlines())
    head = f'<meta charset="utf-8"><title>{escape(sweep)}</title><style>{STYLE}</style>'
    parts = [f"<!doctype html>{head}<h1>Quality against size: {escape(sweep)}</h1>", *panels, said, f"<ul>{notes}</ul>"]
    return "\n".join(parts) + "\n"


def _html(dataset: str, model: str, metric: str, of: str, panel: pd.DataFrame) -> str:
    cells = _cells(panel)
    title = f"<h2>{escape(dataset)} · {escape(model)}, budget in {escape(of)}</h2><p>{_dense_line(panel)}</p>"
    bold = pd.DataFrame("", index=cells.index, columns=cells.columns)
    bold.loc[panel["best"], ["method", heading(metric)]] = "font-weight: bold"
    style = cells.style.hide(axis="index").apply(lambda _: bold, axis=None).format(escape="html")
    return title + style.set_uuid(f"{dataset}-{model}-{of}").to_html()


def typeset(text: str) -> str:
    """Signs that LaTeX has commands for, and a width that a page has."""
    for sign, command in {"±": "$\\pm$", "×": "$\\times$", "−": "$-$", "≈": "$\\approx$", "·": "$\\cdot$"}.items():
        text = text.replace(sign, command)
    text = text.replace("\\begin{tabular}", "\\resizebox{\\textwidth}{!}{%\n\\begin{tabular}")
    return text.replace("\\end{tabular}", "\\end{tabular}}")


def _cells(panel: pd.DataFrame) -> pd.DataFrame:
    """A trade-off table as it is read: one column of text for each number and its interval."""
    columns = {
        "keep": panel["keep"].map("{:g}".format),
        "method": panel["label"],
        "n": panel["n"].map(str),
        "rejected": text(panel["rejected"], "{:.0f}"),
        "achieved": text(panel["achieved"], "{:.3f}"),
        heading(panel["metric"].iloc[0]): _quality(panel),
        "vs magnitude": _difference(panel),
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


def _quality(panel: pd.DataFrame) -> pd.Series:
    """The metric, marked where it is tied with the best, or what says that it is missing."""
    marked = interval(panel, "quality", "{:.1f}") + panel["tied"].map({True: " ≈", False: ""})
    return marked.mask(panel["n"] == 0, "missing")


def heading(metric: str) -> str:
    """What stands above a task's metric."""
    return f"{metric.replace('_', ' ')} %"


def text(values: pd.Series, form: str) -> pd.Series:
    """Numbers in a format, nothing for those that are missing."""
    return values.map(lambda value: "" if pd.isna(value) else form.format(value).replace("-", "−"))


def interval(panel: pd.DataFrame, column: str, form: str, unit: str = "") -> pd.Series:
    """A column with the half width of its interval, which the column `…_ci95` has."""
    half_width = form.replace("+", "")
    return text(panel[column], f"{form}{unit}") + text(panel[f"{column}_ci95"], f" ± {half_width}")


def _difference(panel: pd.DataFrame) -> pd.Series:
    incomplete = (panel["pairs"] > 0) & (panel["pairs"] < panel["n"])
    pairs = panel["pairs"].map(" ({})".format).where(incomplete, "")
    return interval(panel, "difference", "{:+.1f}") + pairs


def _controls(panel: pd.DataFrame) -> pd.Series:
    """The ratios of all batch sizes in one column."""
    controls = panel.filter(regex="^control_").dropna(axis=1, how="all").apply(text, form="{:.2f}")
    busy = panel["contention"].gt(BUSY).map({True: " busy", False: ""})
    return controls.agg(lambda row: " / ".join(filter(None, row)), axis=1) + busy
