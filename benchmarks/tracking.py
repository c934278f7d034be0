"""Weights & Biases: the dashboard is a function of the record, so a run is logged when it is whole.

The command python -m benchmarks.tracking NAME logs the records of a sweep that are there already.
"""

import argparse
import logging
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import wandb

from benchmarks import records

log = logging.getLogger(__name__)

AXES = ("task", "dataset", "model", "granularity", "schedule")  # of which the choices are tags
INIT, FINISH = 20, 30  # seconds that a server may take to answer, and to take a run: a sweep waits no longer
LONGEST = 64  # characters of a tag


def track(record: Mapping[str, Any], mode: str, project: str, entity: str | None, folder: Path) -> bool:
    """Log a record as a W&B run: group = sweep, job type = method, id = the record's. Whether it went as asked.

    A tracker that fails costs a warning, never the run: the record is on disk already. What a server does not take is
    left in `folder` for `wandb sync`.
    """
    if mode == "disabled":
        return True
    folder.mkdir(parents=True, exist_ok=True)
    where = {"project": project, "entity": entity, "dir": folder}
    try:
        _log(record, mode=mode, **where)
        return True
    except Exception as error:  # W&B raises many kinds, also when its server goes away in the middle
        log.warning("not logged to W&B (%s); the record is complete%s", error, _kept(record, mode, where))
        return False


def _kept(record: Mapping[str, Any], mode: str, where: Mapping[str, Any]) -> str:
    """Leave on disk, whole, what a server did not take, and tell what sends it later."""
    if mode == "offline":
        return ""
    try:
        wandb.teardown()  # else it holds on to the id of the run that failed
        _log(record, mode="offline", **where)
    except Exception as error:
        return f", but not kept for later ({error})"
    return f": wandb sync {where['dir']}/wandb/offline-run-*-{record['id']} sends it later"


def _log(record: Mapping[str, Any], **where: Any) -> None:
    choices = record["choices"]
    run = wandb.init(
        **where,
        id=record["id"],
        group=record["sweep"],
        job_type=choices["method"],
        tags=list(dict.fromkeys(choices[axis][:LONGEST] for axis in AXES if choices[axis])),
        name=f"{choices['model']} {choices['method']} {record['budget']['keep']:g} seed {record['seed']}",
        config={**record["config"], "choices": choices},
        resume="allow" if where["mode"] == "online" else None,
        reinit="finish_previous",
        settings=wandb.Settings(
            **{"silent": True, "console": "off", "disable_git": True},
            **{"x_disable_stats": True, "x_save_requirements": False},
            **{"init_timeout": INIT, "finish_timeout": FINISH, "finish_timeout_raises": True},
        ),
    )
    with run:
        run.define_metric("step")
        run.define_metric("round/*", step_metric="step")
        run.define_metric("recovery/*", step_metric="step")
        for row in [*history(record), _tables(record)][run.step :]:  # those before are there, if a run is resumed
            run.log(row)
        run.summary.update(summary(record))


def history(record: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What happened, in the order of steps: the rounds, and quality on validation data as the network recovers."""
    rows = []
    for done in record["rounds"]:
        numbers = {f"round/{key}": value for key, value in done.items() if isinstance(value, int | float)}
        rows.append({"step": done["step"], **numbers})
    watched = record.get("recovery") or {"curve": []}
    for step, quality in watched["curve"]:
        rows.append({"step": step, "recovery/quality": quality, "recovery/dense": watched["dense"]})
    return sorted(rows, key=lambda row: row["step"])


def _tables(record: Mapping[str, Any]) -> dict[str, wandb.Table]:
    found = {"trade-off": wandb.Table(columns=list(COLUMNS), data=list(tradeoff(record)))}
    if rows := list(artefacts(record)):
        columns = list(dict.fromkeys(name for row in rows for name in row))
        found["artefacts"] = wandb.Table(columns=columns, data=[[row.get(name) for name in columns] for row in rows])
    return found


COLUMNS = ("network", "keep", "quality", "loss", "parameters", "macs", "bytes", "latency_1", "latency_64")


def tradeoff(record: Mapping[str, Any]) -> Iterator[list[Any]]:
    """The dense and the pruned network, a row each: what was paid and what was got; latencies: medians in seconds."""
    for network, keep in (("dense", 1.0), ("pruned", record["budget"]["achieved"])):
        measured = record[network]
        times = {f"latency_{batch}": median(samples) for batch, samples in measured["latency"].items()}
        row = {"network": network, "keep": keep, "quality": measured[record["metric"]], **measured, **times}
        yield [row.get(column) for column in COLUMNS]


def artefacts(record: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Every stage in every form, as it would be shipped; latency_b_t: the median at batch b with t threads."""
    for artefact in record["artefacts"]:
        times = {
            f"latency_{batch}_{threads}": median(samples)
            for threads, batches in artefact["latency"].items()
            for batch, samples in batches.items()
            if batch.isdigit()
        }
        told = {key: value for key, value in artefact.items() if not isinstance(value, Mapping | list)}
        yield {**told, "quality": artefact.get(record["metric"]), **times}


def summary(record: Mapping[str, Any]) -> dict[str, Any]:
    """The pruned network's row, its ratios to the dense one, and the cost, as W&B summary metrics."""
    dense, pruned = (dict(zip(COLUMNS, row, strict=True)) for row in tradeoff(record))
    ratios = {"compression_ratio": "parameters", "speedup_macs": "macs", "speedup_latency_1": "latency_1"}
    return {
        **{name: value for name, value in pruned.items() if name != "network"},
        "unrecovered": record["rounds"][-1]["before"],
        "drop": dense["quality"] - pruned["quality"],
        **{name: dense[of] / pruned[of] for name, of in ratios.items() if pruned[of]},
        "cost": record["cost"],
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Log the records of a sweep; 2 for a sweep that is not there, 1 where one of them could not be logged."""
    parser = argparse.ArgumentParser("python -m benchmarks.tracking", description="Log a sweep's records to W&B.")
    parser.add_argument("name", help="of the sweep: a folder in results/")
    parser.add_argument("--mode", choices=("online", "offline"), default="online")
    parser.add_argument("--project", default="shapley-pruning")
    parser.add_argument("--entity", help="user or team; by default that of the key")
    parser.add_argument("--results", type=Path, default=Path("results"), help="where the sweeps are")
    chosen = parser.parse_args(arguments)
    where = {"mode": chosen.mode, "project": chosen.project, "entity": chosen.entity}
    try:
        found = records.load(records.sweep(chosen.results, chosen.name))
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    for done, record in enumerate(found):
        if not track(record, **where, folder=chosen.results / "cache"):
            print(f"error: {done} of {len(found)} records logged, then W&B failed (see above)", file=sys.stderr)
            return 1
    print(f"{len(found)} records logged")
    return 0


if __name__ == "__main__":
    sys.exit(main())
