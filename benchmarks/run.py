"""The command: python -m benchmarks.run [-m] key=value …"""

import os
import shlex
import sys
import time
import traceback
from math import inf
from pathlib import Path
from statistics import fmean
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from benchmarks import cores, mistakes, pipeline, records, schema, sweep, tracking
from benchmarks.identity import identity, run_parts
from benchmarks.locks import Busy, only_one
from methods.criterion import Impossible

AXES = (
    "task",
    "model",
    "method",
    "granularity",
    "schedule",
    "allocation",
    "worth",
    "aggregate",
    "estimator",
    "training",
)


@hydra.main(config_path="../conf", config_name="run", version_base="1.3")
def run(config: DictConfig) -> float:
    """Make the records that the configuration asks for: one for each fraction in `keep`.

    Returns what a search maximizes: the mean quality after recovery, on validation data; where a run failed, the worst.
    """
    mistakes.require_complete(config)
    mistakes.require_file(config.checkpoint, "checkpoint")
    keeps = mistakes.fractions(_plain(config)["keep"])
    found = [_one(_plain(config, keep=keep), _place(place, len(keeps))) for place, keep in enumerate(keeps)]
    if None in found and HydraConfig.get().mode == RunMode.RUN:
        sys.exit(1)
    return fmean(record["rounds"][-1]["after"] if record else -inf for record in found)


def _one(plain: dict[str, Any], place: str) -> dict[str, Any] | None:
    """The record of a run, found or made, by one process at a time.

    A failure is recorded and told in one line, and the sweep goes on: None, as where another process is making the
    record and the sweep comes back to it.
    """
    choices, name = _choices(plain), identity(run_parts(plain))
    axes = f"{choices['dataset']} {choices['model']} {choices['method']}"
    label = f"{place}{axes} keep={plain['keep']:g} seed={plain['seed']}"
    claim = Path(plain["results"], "cache", "runs", name)
    try:
        with only_one(claim, wait=False):
            return _found_or_made(plain, choices, name, label)
    except Busy:
        later = sweep.postpone(Path(plain["results"]))
        print(f"{label}: another process is making it{', we come back to it' if later else ': waiting'}", flush=True)
    if later:
        return None
    with only_one(claim):
        return _found_or_made(plain, choices, name, label)


def _found_or_made(plain: dict[str, Any], choices: dict[str, str], name: str, label: str) -> dict[str, Any] | None:
    folder, start = Path(plain["results"], plain["sweep"]), time.perf_counter()
    path, failure = folder / "records" / f"{name}.json", folder / "failed" / f"{name}.json"
    try:
        found = None if plain["force"] else records.find(Path(plain["results"]), plain["sweep"], name)
        if found and _has_latencies(found, plain["latency"]["batches"]):
            print(f"{label}: has its record {name}; force=true runs it again", flush=True)
            return found
        records.forget_partials(path)
        record = {**pipeline.run(plain, choices), "command": _command(plain["keep"])}
        records.write(path, record)
        failure.unlink(missing_ok=True)
    except Exception as error:
        line, skipped = mistakes.one_line(error), isinstance(error, Impossible)
        about = {"error": line, "skipped": skipped, "config": plain, "traceback": traceback.format_exc()}
        records.write(failure, {"id": name, **about, "attempt": os.environ.get(sweep.ATTEMPT)})
        print(f"{label}: {'SKIPPED' if skipped else 'FAILED'}: {line}", flush=True)
        return None
    tracking.track(record, **plain["wandb"], folder=Path(plain["results"], "cache"))
    print(f"{label}: {_outcome(record)} ({time.perf_counter() - start:.1f} s)", flush=True)
    return record


def _has_latencies(record: dict[str, Any], batches: list[int]) -> bool:
    """Whether a record, which is named by what a network depends on, was timed as it is asked for."""
    return {str(batch) for batch in batches} <= set(record["dense"]["latency"])


def _plain(config: DictConfig, **changes: Any) -> dict[str, Any]:
    """The configuration with changes, as dictionaries and lists in which nothing is left to resolve; its threads."""
    own = {"threads": config.threads or cores.threads(HydraConfig.get().launcher)}
    return OmegaConf.to_container(OmegaConf.merge(config, own, changes), resolve=True, enum_to_str=True)  # type: ignore


def _place(place: int, of: int) -> str:
    """Where in a sweep a run is: the sweep's jobs make `of` runs each."""
    config = HydraConfig.get()
    if config.mode == RunMode.RUN:
        return ""
    return f"[{config.job.num * of + place + 1}/{int(os.environ[sweep.JOBS]) * of}] "


def _choices(plain: dict[str, Any]) -> dict[str, str]:
    """What was chosen on each axis, by the names of the files in conf/."""
    chosen = HydraConfig.get().runtime.choices
    lists = {axis: "+".join(plain[axis]) or "none" for axis in ("compression", "export", "analysis")}
    return {"dataset": plain["dataset"]["name"], **{axis: chosen[axis] for axis in AXES}, **lists}


def _command(keep: float) -> str:
    """What makes this one run again, on any machine that has its data.

    Of weights and configurations elsewhere only the name is told.
    """
    places = ("keep=", "results=", "force=", "device=", "memory=", "workers=", "wandb.", "hydra.")
    overrides = [o for o in HydraConfig.get().overrides.task if not o.startswith(places)]
    told = (f"checkpoint={Path(o).name}" if o.startswith("checkpoint=/") else o for o in overrides)
    own = [s.path for s in HydraConfig.get().runtime.config_sources if s.provider == "command-line"]
    program = ["python", "-m", "benchmarks.run", *(f"--config-dir={Path(path).name}" for path in own)]
    return shlex.join([*program, *told, f"keep={keep!r}"])


def _outcome(record: dict[str, Any]) -> str:
    dense, pruned = record["dense"], record["pruned"]
    ratio = dense["nonzero_parameters"] / pruned["nonzero_parameters"]
    metric = record["metric"]
    return f"{metric} {pruned[metric]:.2%} (dense {dense[metric]:.2%}), {ratio:.1f}× fewer parameters"


def main() -> None:
    """Run, and tell a mistake in the configuration in one line."""
    schema.register()
    os.environ.setdefault("HYDRA_FULL_ERROR", "1")
    try:
        run()
    except (HydraException, OmegaConfBaseException) as error:
        sys.exit(f"error: {mistakes.in_configuration(error)}")
    except mistakes.KILLED as error:
        sys.exit(f"error: {mistakes.killed(error)}")


if __name__ == "__main__":
    main()
