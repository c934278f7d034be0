"""A search of hyper-parameters: what its trials gave on validation data, which alone may choose."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf

from benchmarks import records

SAME = ("dataset", "model", "method")  # trials are compared where these are equal


def asked(config: DictConfig) -> bool:
    """Whether a sweeper decides, from the values that runs return, what to run next."""
    return "n_trials" in config.hydra.sweeper


def begin(config: DictConfig) -> None:
    """Quieten Optuna. Exit if it would look for the worst: it minimizes where nobody says otherwise."""
    import optuna  # of the extra `tune`, so it is there when a search was asked for

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    direction = config.hydra.sweeper.direction
    if getattr(direction, "name", direction) != "maximize":
        raise SystemExit("error: a run returns its quality, larger is better: set hydra.sweeper.direction=maximize")


def outcome(config: DictConfig, overrides: Sequence[str]) -> str:
    """Write and return the table of all trials in the sweep's folder, best first. Raises ValueError where none are."""
    folder = Path(config.results, config.sweep)
    parsed = OverridesParser.create().parse_overrides(list(overrides))
    searched = [override.get_key_element() for override in parsed if override.is_sweep_override()]
    table = trials(records.load(folder), list(dict.fromkeys(searched)))
    text = f"# Search: {folder.name}\n\n{table.to_markdown(index=False, floatfmt='.4g')}\n\n{NOTE}\n"
    records.write_text(folder / "search.md", text)
    return text


NOTE = "Of the validation part, after recovery: the mean over what is kept. The test part has no say in a choice."


def trials(found: Sequence[Mapping[str, Any]], searched: Sequence[str]) -> pd.DataFrame:
    """A row for each combination of the parameters `searched`, best first within data set, model and method."""
    if not found:
        raise ValueError("no trial of the search has a record")
    keys = [*SAME, *(name for name in searched if name not in SAME)]
    rows = [{**{key: _value(record, key) for key in keys}, "validation": _quality(record)} for record in found]
    means = (
        pd.DataFrame(rows)
        .groupby(keys, as_index=False, dropna=False)
        .agg(runs=("validation", "size"), validation=("validation", "mean"))
    )
    return means.sort_values([*SAME, "validation"], ascending=[True] * len(SAME) + [False], ignore_index=True)


def _value(record: Mapping[str, Any], key: str) -> Any:
    """What was chosen for an axis or set for a key, as something that can be compared."""
    value = record["choices"].get(key) or OmegaConf.select(OmegaConf.create(record["config"]), key)
    return value if isinstance(value, int | float | str | None) else str(value)


def _quality(record: Mapping[str, Any]) -> float:
    return record["rounds"][-1]["after"]
