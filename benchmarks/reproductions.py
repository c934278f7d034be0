"""Published numbers beside ours: what of them is reproduced, what not, and what cannot be compared."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from scipy import stats

from benchmarks import records
from benchmarks.areas import curves
from benchmarks.frame import PANEL, frame
from benchmarks.statistics import mean_interval

PUBLISHED = Path(__file__).with_name("published.yaml")
AGREES = 0.7  # Spearman's rank correlation between the published order of methods and ours
NOTES = f"""\
Only orders of methods are compared: networks, data and metrics are others. An *order* is *reproduced* if the published
leader leads ours too and the methods' ranks correlate with the published ones (Spearman, at least {AGREES}); that is of
means over all our networks (or layers), whose intervals may overlap, and in brackets stands in how many of them that
leader leads. ± is the half width of the 95 % Student t interval over n seeds.
"""
Claim = Mapping[str, Any]


def reproductions(results: Path) -> str:
    """The Markdown table of all claims in published.yaml, beside what the records in `results` say of them."""
    rows = [_row(claim, results) for claim in yaml.safe_load(PUBLISHED.read_text())]
    return f"# Published numbers beside ours\n\n{pd.DataFrame(rows).to_markdown(index=False)}\n\n{NOTES}"


def write(results: Path) -> str:
    """Write that table to `results`/reproductions.md; returns it."""
    text = reproductions(results)
    records.write_text(results / "reproductions.md", text)
    return text


def _row(claim: Claim, results: Path) -> dict[str, str]:
    ours = measured(claim, results)
    return {
        "claim": claim["claim"],
        "source": claim["source"],
        "published": ", ".join(f"{method} {value:g}" for method, value in claim["published"].items()),
        "ours, %": ", ".join(_told(method, row) for method, row in ours.iterrows()) or "not run",
        "verdict": verdict(claim, ours),
    }


def _told(method: Any, row: pd.Series) -> str:
    return f"{method} {row['quality']:.1f} ± {row['ci95']:.1f} (n = {row['n']:.0f})"


def measured(claim: Claim, results: Path) -> pd.DataFrame:
    """Our `quality` in percent with `ci95` and `n`, by the claim's methods, in its order; empty if nothing was run.

    A seed counts that has every panel; `leads` is the number of `panels` in which a method has the highest mean.
    """
    loaded = records.load(results / claim["sweep"])
    found = [record for record in loaded if claim.get("where", {}).items() <= record["choices"].items()]
    if not found:
        return pd.DataFrame()
    tidy = frame(found)
    runs = curves(tidy) if claim["keep"] is None else tidy[tidy["keep"] == claim["keep"]]
    panels = runs[PANEL].drop_duplicates().shape[0]
    whole = runs.groupby(["label", "seed"])["quality"].agg(["mean", "size"])
    by_seed = 100 * whole.loc[whole["size"] == panels, "mean"]
    rows = {label: _interval(values) for label, values in by_seed.groupby("label")}
    ours = pd.DataFrame({method: rows[method] for method in claim["published"] if method in rows}).T
    means = runs[runs["label"].isin(ours.index)].groupby([*PANEL, "label"])["quality"].mean().unstack()
    leaders = means.idxmax(axis=1).value_counts().reindex(ours.index, fill_value=0)
    return ours.assign(leads=leaders, panels=panels)


def _interval(values: pd.Series) -> dict[str, float]:
    mean, half = mean_interval(values)
    return {"quality": mean, "ci95": half, "n": len(values)}


def verdict(claim: Claim, ours: pd.DataFrame) -> str:
    """Order reproduced, not reproduced or not comparable, with the reason."""
    if reason := claim.get("incomparable"):
        return f"not comparable: {reason}"
    if missing := sorted(set(claim["published"]) - set(ours.index)):
        return f"not comparable: {', '.join(missing)} not run"
    published = pd.Series(claim["published"]) * (-1 if claim.get("lower") else 1)
    correlation = stats.spearmanr(published, ours["quality"][published.index]).statistic
    leads = published.idxmax(), ours["quality"].idxmax()
    agrees = leads[0] == leads[1] and correlation >= AGREES
    where = f"{ours['leads'][leads[1]]:.0f} of {ours['panels'].iloc[0]:.0f}"
    return (
        f"order {'' if agrees else 'not '}reproduced: {leads[1]} leads (in {where}), rank correlation {correlation:.2f}"
    )
