"""Whether the runs of a table had the same chances: said by the hashes of what they depend on."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from math import isclose
from typing import Any

from benchmarks.identity import dense_parts, identity

Record = Mapping[str, Any]


def fairness(records: Sequence[Record]) -> list[str]:
    """One line if all runs compare, else one for each breach: another dense network (by its configuration, or by its
    loss), recovery or data split within a data set, model and seed, more recovery for some within a cell, or a budget
    that is not met.
    """
    breaches = [*_apart(records, "dense networks", _dense), *_apart(records, "recoveries", _recovery)]
    breaches += _retrained(records)
    breaches += _apart(records, "data splits", lambda record: record["config"]["dataset"], within=())
    breaches += _apart(records, "lengths of recovery, as accept.drop asked for more", _extra, within=("seed", "keep"))
    over = [r for r in records if r["budget"]["achieved"] > r["budget"]["keep"] * (1 + 1e-9)]
    breaches += [f"run {r['id']} keeps {r['budget']['achieved']:.4g}, more than {r['budget']['keep']:g}" for r in over]
    if breaches:
        return [f"**Not fair**: {breach}." for breach in breaches]
    least = max(r["budget"]["keep"] - r["budget"]["achieved"] for r in records)
    return [
        "Fair: runs of the same data set, model and seed share their dense network (by what made it, and by its loss), "
        f"data split and recovery recipe, and no run keeps more than was asked, or over {100 * least:.2g} points less."
    ]


def _dense(record: Record) -> dict[str, Any]:
    return dense_parts(record["config"])


def _retrained(records: Sequence[Record]) -> Iterator[str]:
    """The dense networks of one configuration that differ in their test loss, as rounding does not explain: on another
    processor, or with other threads, the same training ends at other weights.
    """
    losses: dict[tuple[Any, ...], list[float]] = defaultdict(list)
    for record in records:
        choices, dense = record["choices"], record["dense"]
        place = (choices["dataset"], choices["model"], record["seed"], identity(_dense(record)))
        losses[place].append(dense.get("loss", dense[record["metric"]]))
    for (dataset, model, seed, _), found in sorted(losses.items()):
        if not isclose(least := min(found), most := max(found), rel_tol=1e-4):
            told = f"{least:.4g} and {most:.4g}"
            yield f"{dataset} · {model}, seed {seed}, has a dense network that was trained twice, to losses of {told}"


def _recovery(record: Record) -> list[Any]:
    config = record["config"]
    training = config["training"]
    return [training["recovery"], training["distillation"], training["examples"], config["accept"]]


def _extra(record: Record) -> int:
    return (record["acceptance"] or {}).get("extra_recoveries", 0)


def _apart(
    records: Sequence[Record], what: str, part: Callable[[Record], Any], within: Sequence[str] = ("seed",)
) -> Iterator[str]:
    """The data sets and models whose runs have several of something within what their configurations share."""
    found: dict[tuple[Any, ...], set[str]] = defaultdict(set)
    for record in records:
        place = (record["choices"]["dataset"], record["choices"]["model"])
        found[(*place, *(record["config"][key] for key in within))].add(identity(part(record)))
    for (dataset, model, *shared), hashes in sorted(found.items()):
        if len(hashes) > 1:
            told = "".join(f" {key} {value}," for key, value in zip(within, shared, strict=True))
            yield f"{dataset} · {model}{told and ',' + told} has {len(hashes)} {what}"
