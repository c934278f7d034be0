"""What a run and its stages depend on, and the names that follow from it."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from benchmarks.checkpoints import fingerprint

PLACES = ("root", "workers")  # where the data lie and who reads them: not what they are


def dense_parts(config: Mapping[str, Any]) -> dict[str, Any]:
    """What a dense network depends on."""
    dataset = {key: value for key, value in config["dataset"].items() if key not in PLACES}
    if config["checkpoint"]:
        made = {"checkpoint": fingerprint(config["checkpoint"])}
    else:
        made = {"training": config["training"]["dense"]}
    return {
        "task": config["task"],
        "dataset": dataset,
        "model": config["model"],
        **made,
        "seed": config["seed"],
    }


def scores_parts(config: Mapping[str, Any]) -> dict[str, Any]:
    """What the scores of a dense network depend on: on how they are computed, not on memory and workers for that."""
    method = {**config["method"], "criterion": essential(config["method"]["criterion"])}
    only = {"layer": config["layer"]} if config["layer"] else {}
    return {**dense_parts(config), "method": method, "granularity": config["granularity"], **only}


def essential(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options, at any depth, without those that change nothing but the cost."""
    known = {key: value for key, value in options.items() if key not in ("memory", "workers")}
    return {key: essential(value) if isinstance(value, Mapping) else value for key, value in known.items()}


def run_parts(config: Mapping[str, Any]) -> dict[str, Any]:
    """What a run depends on; device, threads, folders and trackers are not among it."""
    axes = ("schedule", "allocation", "budget", "keep")
    chosen = {axis: config[axis] for axis in axes}
    return {**scores_parts(config), **chosen, "recovery": config["training"]["recovery"], **dict(_optional(config))}


def _optional(config: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """What counts only where it is asked for: a temperature of no teacher changes nothing."""
    if config["training"]["distillation"]["weight"]:
        yield "distillation", config["training"]["distillation"]
    if config["training"]["examples"] is not None:
        yield "examples", config["training"]["examples"]
    if config["checkpoint"] and config["method"].get("restart"):  # what starts anew trains as a dense network does
        yield "training", config["training"]["dense"]
    if config["accept"]["drop"] is not None:
        yield "accept", config["accept"]
    yield from ((axis, config[axis]) for axis in ("compression", "export", "analysis") if config[axis])


def identity(parts: Any) -> str:
    """Twelve hexadecimal digits that stand for a run or a stage: equal parts, equal name, in whatever order of keys."""
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:12]
