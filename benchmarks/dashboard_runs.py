"""What the page of a run tells, from its record, and what many runs have in common only once."""

import json
from collections.abc import Iterator, Mapping
from statistics import median
from typing import Any


class Pool:
    """Values that are told once and then by their place in `values`."""

    def __init__(self) -> None:
        self.values: list[Any] = []
        self.places: dict[str, int] = {}

    def place(self, value: Any) -> int:
        """Where a value that JSON can tell is in `values`."""
        place = self.places.setdefault(json.dumps(value), len(self.values))
        if place == len(self.values):
            self.values.append(value)
        return place


def told(record: Mapping[str, Any], pool: Pool) -> dict[str, Any]:
    """A record without its scores and samples; sections of its configuration and its machine are places in `pool`."""
    return {
        "command": record["command"],
        "config": {section: pool.place(value) for section, value in record["config"].items()},
        **{key: pool.place(record[key]) for key in ("choices", "machine", "versions", "commit")},
        "finished": record["finished"],
        "coverage": record["coverage"],
        "groups": pool.place(_groups(record)),
        "rounds": [_round(one) for one in record["rounds"]],
        "networks": pool.place(_networks(record)),
        "cost": {key: _short(value) for key, value in record["cost"].items()},
        "curve": [[step, _short(quality)] for step, quality in record["recovery"]["curve"]],
        "acceptance": record["acceptance"],
        "artefacts": [_artefact(one, record["metric"]) for one in record["artefacts"]],
    }


def _groups(record: Mapping[str, Any]) -> dict[str, int | None]:
    """Units of every group of the dense network, as far as scores or what is left of all of them tell."""
    first = record["rounds"][0]
    return {name: len(first["scores"][name]) if name in first["scores"] else None for name in first["kept"]}


def _round(one: Mapping[str, Any]) -> dict[str, Any]:
    numbers = {key: _short(one.get(key)) for key in ("asked", "achieved", "before", "after", "scoring_seconds")}
    return {"step": one["step"], **numbers, "widths": [len(kept) for kept in one["kept"].values()]}


def _networks(record: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """What was measured of the dense and the pruned network on the test part; latencies in seconds by batch."""
    return {
        network: {
            **{key: _short(value) for key, value in record[network].items() if key != "latency"},
            **{f"latency @{batch}": _short(median(s)) for batch, s in record[network]["latency"].items()},
        }
        for network in ("dense", "pruned")
    }


def _artefact(one: Mapping[str, Any], metric: str) -> dict[str, Any]:
    numbers = {key: _short(one.get(key)) for key in (metric, "bytes", "coded_bytes", "peak_memory", "difference")}
    return {"stage": one["network"], "form": one["engine"], **numbers, **dict(_times(one["latency"]))}


def _times(latency: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, float]]:
    for threads, batches in latency.items():
        for batch in (batch for batch in batches if batch != "contention"):
            yield f"seconds, {threads} thread{'s' * (threads != '1')} @{batch}", _short(median(batches[batch]))


def _short(value: Any) -> Any:
    """A number to five digits."""
    return float(f"{value:.5g}") if isinstance(value, float) else value
