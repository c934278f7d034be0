"""Who leads over many cells: average ranks and the difference that counts."""

from collections.abc import Iterator, Sequence

import pandas as pd

from benchmarks.statistics import average_ranks, critical_difference, friedman
from benchmarks.tables import by_order


def ranks(frame: pd.DataFrame, cell: Sequence[str] = ("dataset", "model", "keep")) -> Iterator[str]:
    """A sentence for each metric and budget with at least three methods in two cells: their average ranks.

    frame: `quality` by label and seed. A cell is what has the columns `cell` in common; the mean over seeds counts.
    Cells that lack a method are left out.
    """
    for (metric, of), rows in frame.groupby(["metric", "of"]):
        cells = rows.pivot_table(index=list(cell), columns="label", values="quality").dropna()
        if len(cells) >= 2 and cells.shape[1] >= 3:
            yield f"Average ranks by {metric}, budget in {of}: {_sentence(cells)}"


def _sentence(cells: pd.DataFrame) -> str:
    labels = by_order(cells.columns)
    found = pd.Series(average_ranks(cells[labels]), index=labels).sort_values(kind="stable")
    listed = ", ".join(f"{label} {rank:.2f}" for label, rank in found.items())
    apart = critical_difference(len(labels), len(cells))
    return (
        f"{listed} (n = {len(cells)} cells; Friedman p = {friedman(cells[labels]):.2g}). Ranks less than {apart:.2f} "
        "apart do not differ (Nemenyi, 5 %; cells of one network are related, so this is lenient)."
    )
