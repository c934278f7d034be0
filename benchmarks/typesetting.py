"""Tables as people read them (Markdown, LaTeX, HTML) and as programs do (CSV)."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from html import escape

import pandas as pd

from benchmarks.frame import PANEL

STYLE = "body{font:15px sans-serif;margin:2em}table{border-collapse:collapse}td,th{padding:.2em .7em;text-align:right}"
WORDS = ("method", "estimator", "stage", "form")  # columns that are no numbers
# a float of its own in somebody's document, or a document: only before the latter begins, \documentclass is a command
BEGIN = r"""% \input this where booktabs and graphicx are loaded, or compile it as it is
\expandafter\ifx\csname @notprerr\endcsname\documentclass\else
\documentclass{article}
\usepackage[a4paper,landscape,margin=15mm]{geometry}
\usepackage{booktabs,graphicx}
\begin{document}
\def\closing{\end{document}}
\fi
"""
END = r"\ifdefined\closing\expandafter\closing\fi" + "\n"
SIGNS = {"±": "$\\pm$", "×": "$\\times$", "−": "$-$", "≈": "$\\approx$", "·": "$\\cdot$"}


@dataclass(frozen=True)
class Table:
    """A table of a sweep and how it is read: `rows` hold raw numbers; where there is one, `best` marks who leads.

    cells: of one panel's rows, as columns of text. leading: what stands above the column in which the best is marked,
    by the task's metric. about: a line on a panel.
    """

    name: str  # of its files
    title: str
    rows: pd.DataFrame
    cells: Callable[[pd.DataFrame], pd.DataFrame]
    notes: str
    leading: Callable[[str], str]
    about: Callable[[pd.DataFrame], str] = lambda _: ""

    def panels(self) -> Iterator[tuple[str, pd.DataFrame, pd.DataFrame, str]]:
        """Of every data set, model and budget: a title, the cells, those to be marked, and the line about it."""
        several = self.rows["metric"].nunique() > self.rows.groupby(PANEL[:2]).ngroups
        for (dataset, model, metric, of), panel in self.rows.groupby(PANEL):
            title = f"{dataset} · {model}{f', {metric}' if several else ''}, budget in {of}"
            cells = self.cells(panel)
            marked = pd.DataFrame(False, index=cells.index, columns=cells.columns)
            if "best" in panel:
                marked.loc[panel["best"], ["method", self.leading(metric)]] = True
            yield title, cells, marked, self.about(panel)


def csv(rows: pd.DataFrame) -> str:
    """All columns and raw numbers of a table, to six digits."""
    return rows.to_csv(index=False, float_format="%.6g", lineterminator="\n")


def markdown(table: Table) -> str:
    """A sub-table for every panel, under a heading and a line about it."""
    return "\n".join(_markdown(*panel) for panel in table.panels())


def _markdown(title: str, cells: pd.DataFrame, marked: pd.DataFrame, about: str) -> str:
    cells = cells.mask(marked, "**" + cells + "**")
    sides = ["left" if column in WORDS else "right" for column in cells]
    text = cells.to_markdown(index=False, disable_numparse=True, colalign=sides)
    return "\n\n".join(part for part in (f"## {title}", about, text) if part) + "\n"


def latex(table: Table) -> str:
    """The same sub-tables as LaTeX floats: a document, or part of one that has booktabs and graphicx."""
    floats = [_latex(table, place, *panel) for place, panel in enumerate(table.panels())]
    return BEGIN + "\n".join(floats) + END


def _latex(table: Table, place: int, title: str, cells: pd.DataFrame, marked: pd.DataFrame, about: str) -> str:
    if "keep" in cells:
        cells["keep"] = cells["keep"].mask(cells["keep"].duplicated(), "")
    bold = marked.replace({True: "textbf:--rwrap;", False: ""})
    style = cells.style.hide(axis="index").apply(lambda _: bold, axis=None)
    style = style.format(escape="latex").format_index(escape="latex", axis="columns")
    caption = f"{table.title}: {title}. {about}".strip()
    return _typeset(
        style.to_latex(
            hrules=True,
            column_format="".join("l" if column in WORDS else "r" for column in cells),
            environment="table*",
            position_float="centering",
            caption="".join(f"\\{sign}" if sign in "_%&#" else sign for sign in caption),
            label=f"tab:{table.name}-{place + 1}",
        )
    )


def _typeset(text: str) -> str:
    """Signs that LaTeX has commands for, and a width that a page has."""
    for sign, command in SIGNS.items():
        text = text.replace(sign, command)
    text = text.replace("\\begin{tabular}", "\\resizebox{\\textwidth}{!}{%\n\\begin{tabular}")
    return text.replace("\\end{tabular}", "\\end{tabular}}")


def html(sweep: str, table: Table, about: Sequence[str], verdicts: Sequence[str]) -> str:
    """The same sub-tables as a page of their own, between what is said about them and what follows from them."""
    panels = [_html(place, *panel) for place, panel in enumerate(table.panels())]
    before, after = ("".join(f"<p>{escape(line.replace('**', ''))}</p>" for line in said) for said in (about, verdicts))
    notes = "".join(f"<li>{escape(line[2:])}</li>" for line in table.notes.splitlines())
    title = f"{escape(table.title)}: {escape(sweep)}"
    head = f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><style>{STYLE}</style>'
    return "\n".join([f"{head}<h1>{title}</h1>{before}", *panels, after, f"<ul>{notes}</ul>"]) + "\n"


def _html(place: int, title: str, cells: pd.DataFrame, marked: pd.DataFrame, about: str) -> str:
    bold = marked.replace({True: "font-weight: bold", False: ""})
    style = cells.style.hide(axis="index").apply(lambda _: bold, axis=None).format(escape="html")
    said = f"<p>{escape(about)}</p>" if about else ""
    return f"<h2>{escape(title)}</h2>{said}{style.set_uuid(f'panel-{place + 1}').to_html()}"


def heading(metric: str) -> str:
    """What stands above a task's metric."""
    return f"{metric.replace('_', ' ')} %"


def text(values: pd.Series, form: str) -> pd.Series:
    """Numbers in a format, nothing for those that are missing."""
    return values.map(lambda value: "" if pd.isna(value) else form.format(value).replace("-", "−"))


def span(counts: pd.Series) -> str:
    """How many seeds there are: the fewest and the most."""
    return f"{counts.min()}" if counts.nunique() == 1 else f"{counts.min()} to {counts.max()}"


def interval(panel: pd.DataFrame, column: str, form: str, unit: str = "") -> pd.Series:
    """A column with the half width of its interval, which the column `…_ci95` has."""
    half_width = form.replace("+", "")
    return text(panel[column], f"{form}{unit}") + text(panel[f"{column}_ci95"], f" ± {half_width}")


def marked(panel: pd.DataFrame, column: str) -> pd.Series:
    """A column that is compared, with its interval and a sign where it is tied with the best; or that it is missing."""
    found = interval(panel, column, "{:.1f}") + panel["tied"].map({True: " ≈", False: ""})
    return found.mask(panel["n"] == 0, "missing")


def difference(panel: pd.DataFrame) -> pd.Series:
    """Points to magnitude pruning, and the number of pairs where some runs have no partner."""
    incomplete = (panel["pairs"] > 0) & (panel["pairs"] < panel["n"])
    pairs = panel["pairs"].map(" ({:.0f})".format).where(incomplete, "")
    return interval(panel, "difference", "{:+.1f}") + pairs
