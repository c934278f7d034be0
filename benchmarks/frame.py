"""Records as one tidy table, with labels that keep apart what must not be averaged together."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from statistics import median
from typing import Any

import pandas as pd

from benchmarks.identity import run_parts
from benchmarks.statistics import ratio_interval

PANEL = ["dataset", "model", "metric", "of"]  # one sub-table of a table, one panel of a figure
CELL = [*PANEL, "keep"]  # in a cell, methods are compared
MEASURED = ("parameters", "nonzero_parameters", "macs", "bytes")
OF_CELL = ("keep", "seed", "budget.of")  # what a run depends on and tells in columns of their own
SEPARATOR = " · "


def frame(records: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """One row a record: what was chosen, what was measured, and with whom it is compared.

    `label` is the method, followed by every setting in which its runs on the same data set and model differ
    (`shapley · aggregate=mean`); `dense_label` names the dense network likewise. `quality` is what the task's `metric`
    says of the test part, `magnitude_quality` the same of magnitude pruning in the same cell with the same seed, or
    nan; where magnitude itself has several labels, of the one with the same settings. Both are fractions, latencies
    seconds. Raises ValueError for a record that lacks something and for a run that is there twice.
    """
    parts = zip(*(_read(record) for record in records), strict=True)
    choices, options, rows = (pd.DataFrame(part) for part in parts)
    choices, options = choices.fillna(""), options.fillna("")
    options = options[_varying(options, choices)]
    settings = pd.concat([choices.drop(columns=["dataset", "model", "method"]), options], axis=1)
    labels = _labels(choices, settings)
    table = pd.concat([choices[["dataset", "model", "method"]], labels, rows, settings], axis=1)
    _check_once(table)
    return table.assign(magnitude_quality=_magnitude_quality(rows, choices, settings))


def _read(record: Mapping[str, Any]) -> tuple[dict[str, str], dict[str, str], dict[str, Any]]:
    try:
        return _choices(record), dict(_options(record)), _row(record)
    except KeyError as error:
        raise ValueError(f"record {record['id']} lacks {error}: delete it and run its sweep again") from error


def _check_once(table: pd.DataFrame) -> None:
    """A run that counted twice would feign a smaller interval."""
    twice = table[table.duplicated([*CELL, "label", "seed"], keep=False)]
    if len(twice):
        one, other = twice.sort_values([*CELL, "label", "seed"])["id"].head(2)
        raise ValueError(f"records {one} and {other} are the same run under two names: delete the older one")


def _choices(record: Mapping[str, Any]) -> dict[str, str]:
    """The choice on each axis, without those that the criterion does not take: magnitude knows no worth."""
    criterion = record["config"]["method"]["criterion"]
    ignored = {"worth", "aggregate", "estimator"} - set(criterion)
    chosen = {axis: choice for axis, choice in record["choices"].items() if axis not in ignored}
    layer = record["config"]["layer"]  # pruned alone, it is a panel of its own
    return {**chosen, "model": f"{chosen['model']}, layer {layer}"} if layer else chosen


def _options(record: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """All that the run depended on besides its cell and its seed, as dotted names."""
    keep = str(record["config"]["keep"])  # also where an estimator or a rule for its end follows it
    for name, value in _leaves(run_parts(record["config"])):
        if name not in OF_CELL and (name.split(".")[-1], value) != ("keep", keep):
            yield name, value


def _leaves(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", str(value)


def _varying(settings: pd.DataFrame, within: pd.DataFrame) -> list[str]:
    """The columns of `settings` with several values among rows that are equal in all columns of `within`."""
    values = settings.groupby([within[column] for column in within]).nunique().max()
    return [column for column in settings if values[column] > 1]


def _labels(choices: pd.DataFrame, settings: pd.DataFrame) -> pd.DataFrame:
    """`label` and `dense_label` of every row; a dense network depends on task, data, model and how it was made."""
    place = ["dataset", "model"]
    dense = [name for name in settings if name.split(".")[0] in ("task", "dataset", "model", "training", "checkpoint")]
    found = pd.DataFrame({"label": choices["method"], "dense_label": "dense"})
    apart = _varying(settings[dense], choices[place])
    found["dense_label"] = _with_settings(found["dense_label"], settings[apart])
    for _, rows in choices.groupby("method"):
        apart = _varying(settings.loc[rows.index], rows[place])
        found.loc[rows.index, "label"] = _with_settings(rows["method"], settings.loc[rows.index, apart])
    return found


def _with_settings(names: pd.Series, settings: pd.DataFrame) -> pd.Series:
    for column in settings:
        names = names + f"{SEPARATOR}{column.removeprefix('method.criterion.')}=" + settings[column]
    return names


def _row(record: Mapping[str, Any]) -> dict[str, Any]:
    dense, pruned, control = record["dense"], record["pruned"], record["control"]
    metric = record["metric"]
    return {
        "id": record["id"],
        "metric": metric,
        "of": record["budget"]["of"],
        "keep": record["budget"]["keep"],
        "achieved": record["budget"]["achieved"],
        "seed": record["seed"],
        "quality": pruned[metric],
        "dense_quality": dense[metric],
        **{name: pruned[name] for name in MEASURED},
        **{f"dense_{name}": dense[name] for name in MEASURED},
        "unrecovered": record["rounds"][-1]["before"],
        "drop": dense[metric] - pruned[metric],
        "rejected": float("nan") if record["acceptance"] is None else float(not record["acceptance"]["accepted"]),
        "contention": max(record["contention"].values()),
        "compression_ratio": dense["parameters"] / pruned["parameters"],
        "nonzero_compression_ratio": dense["nonzero_parameters"] / pruned["nonzero_parameters"],
        "bytes_ratio": dense["bytes"] / pruned["bytes"],
        "speedup_macs": dense["macs"] / pruned["macs"],
        **dict(_latencies(dense["latency"], pruned["latency"], control["latency"], record["seed"])),
        **record["cost"],
    }


def _latencies(
    dense: Mapping[str, Sequence[float]],
    pruned: Mapping[str, Sequence[float]],
    control: Mapping[str, Sequence[float]],
    seed: int,
) -> Iterator[tuple[str, float]]:
    """Per batch size: median seconds, the speed-up with half its bootstrap interval, and the control's."""
    for batch in dense:
        ratio, low, high = _speedup(tuple(dense[batch]), tuple(pruned[batch]), seed)
        yield f"latency_{batch}", median(pruned[batch])
        yield f"dense_latency_{batch}", median(dense[batch])
        yield f"speedup_latency_{batch}", ratio
        yield f"speedup_latency_{batch}_ci95", (high - low) / 2
        yield f"control_{batch}", median(dense[batch]) / median(control[batch])


_speedup = cache(ratio_interval)  # the same records make tables, the page and the comparison with what is published


def _magnitude_quality(rows: pd.DataFrame, choices: pd.DataFrame, settings: pd.DataFrame) -> pd.Series:
    magnitude = choices["method"] == "magnitude"
    apart = _varying(settings[magnitude], choices.loc[magnitude, ["dataset", "model"]])
    keys = pd.concat([choices[["dataset", "model"]], rows[["of", "keep", "seed"]], settings[apart]], axis=1)
    partners = keys[magnitude].assign(magnitude_quality=rows.loc[magnitude, "quality"])
    found = keys.merge(partners, how="left", on=list(keys), validate="many_to_one")["magnitude_quality"]
    return found.mask(magnitude.to_numpy())  # it is not compared with itself
