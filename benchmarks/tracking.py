"""Weights & Biases: the dashboard is a function of the record, so a run is logged when it is whole."""

import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from statistics import median
from typing import Any

import wandb

log = logging.getLogger(__name__)


def track(record: Mapping[str, Any], mode: str, project: str, entity: str | None, folder: Path) -> None:
    """Log a record as a W&B run: group = sweep, job type = method, id = the record's.

    A tracker that fails costs a warning, never the run: the record is on disk already.
    """
    if mode == "disabled":
        return
    folder.mkdir(parents=True, exist_ok=True)
    try:
        _log(record, mode=mode, project=project, entity=entity, dir=folder)
    except (wandb.Error, OSError) as error:
        log.warning("not logged to W&B (%s); the record is complete: use wandb.mode=offline or disabled", error)


def _log(record: Mapping[str, Any], **where: Any) -> None:
    choices = record["choices"]
    run = wandb.init(
        **where,
        id=record["id"],
        group=record["sweep"],
        job_type=choices["method"],
        tags=[choices["dataset"], choices["model"]],
        name=f"{choices['model']} {choices['method']} {record['budget']['keep']:g} seed {record['seed']}",
        config=record["config"],
        resume="allow" if where["mode"] == "online" else None,
        reinit="finish_previous",
        settings=wandb.Settings(
            silent=True, console="off", x_disable_stats=True, x_save_requirements=False, disable_git=True
        ),
    )
    with run:
        run.define_metric("step")
        run.define_metric("round/*", step_metric="step")
        for done in record["rounds"]:
            numbers = {f"round/{key}": value for key, value in done.items() if isinstance(value, int | float)}
            run.log({"step": done["step"], **numbers})
        run.log({"trade-off": wandb.Table(columns=list(COLUMNS), data=list(tradeoff(record)))})
        run.summary.update({**summary(record), "cost": record["cost"]})


COLUMNS = ("network", "keep", "quality", "loss", "parameters", "macs", "bytes", "latency_1", "latency_64")


def tradeoff(record: Mapping[str, Any]) -> Iterator[list[Any]]:
    """The dense and the pruned network, a row each: what was paid and what was got; latencies: medians in seconds."""
    for network, keep in (("dense", 1.0), ("pruned", record["budget"]["achieved"])):
        measured = record[network]
        times = {f"latency_{batch}": median(samples) for batch, samples in measured["latency"].items()}
        row = {"network": network, "keep": keep, "quality": measured[record["metric"]], **measured, **times}
        yield [row.get(column) for column in COLUMNS]


def summary(record: Mapping[str, Any]) -> dict[str, Any]:
    """The pruned network's row, and its ratios to the dense one, as W&B summary metrics."""
    dense, pruned = (dict(zip(COLUMNS, row, strict=True)) for row in tradeoff(record))
    ratios = {"compression_ratio": "parameters", "speedup_macs": "macs", "speedup_latency_1": "latency_1"}
    return {
        **{name: value for name, value in pruned.items() if name != "network"},
        "drop": dense["quality"] - pruned["quality"],
        **{name: dense[of] / pruned[of] for name, of in ratios.items() if pruned[of]},
    }
