"""The command: python -m benchmarks.run [-m] key=value …"""

import os
import sys
import time
import traceback
from pathlib import Path
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from benchmarks import mistakes, pipeline, records, schema, tracking
from benchmarks.identity import identity, run_parts

AXES = ("model", "method", "granularity", "schedule", "allocation", "worth", "aggregate", "training")


@hydra.main(config_path="../conf", config_name="run", version_base="1.3")
def run(config: DictConfig) -> None:
    """Make the run's record, unless it exists; a failure is recorded, told in one line, and the sweep goes on."""
    mistakes.require_complete(config)
    plain: dict[str, Any] = OmegaConf.to_container(config, resolve=True, enum_to_str=True)  # type: ignore[assignment]
    name = identity(run_parts(plain))
    folder = Path(plain["results"], plain["sweep"])
    failure = folder / "failed" / f"{name}.json"
    start = time.perf_counter()
    try:
        if not plain["force"] and records.find(Path(plain["results"]), plain["sweep"], name):
            return _tell(plain, f"has its record {name}; force=true runs it again")
        record = pipeline.run(plain, _choices(plain))
        records.write(folder / "records" / f"{name}.json", record)
        failure.unlink(missing_ok=True)
    except Exception as error:
        line = mistakes.one_line(error)
        records.write(failure, {"id": name, "error": line, "config": plain, "traceback": traceback.format_exc()})
        _tell(plain, f"FAILED: {line}")
        if HydraConfig.get().mode == RunMode.RUN:
            sys.exit(1)
        return
    tracking.track(record, **plain["wandb"], folder=Path(plain["results"], "cache"))
    _tell(plain, f"{_outcome(record)} ({time.perf_counter() - start:.1f} s)")


def _choices(plain: dict[str, Any]) -> dict[str, str]:
    """What was chosen on each axis, by the names of the files in conf/."""
    chosen = HydraConfig.get().runtime.choices
    return {"dataset": plain["dataset"]["name"], **{axis: chosen[axis] for axis in AXES}}


def _tell(plain: dict[str, Any], what: str) -> None:
    """A line of progress, numbered in a sweep."""
    hydra_config, chosen = HydraConfig.get(), _choices(plain)
    number = (
        f"[{hydra_config.job.num + 1}/{os.environ['SWEEP_RUNS']}] " if hydra_config.mode == RunMode.MULTIRUN else ""
    )
    name = f"{chosen['dataset']} {chosen['model']} {chosen['method']} keep={plain['keep']:g} seed={plain['seed']}"
    print(f"{number}{name}: {what}", flush=True)


def _outcome(record: dict[str, Any]) -> str:
    dense, pruned = record["dense"], record["pruned"]
    ratio = dense["nonzero_parameters"] / pruned["nonzero_parameters"]
    return f"{pruned['accuracy']:.2%} (dense {dense['accuracy']:.2%}), {ratio:.1f}× fewer parameters"


def main() -> None:
    """Run, and tell a mistake in the configuration in one line."""
    schema.register()
    os.environ.setdefault("HYDRA_FULL_ERROR", "1")
    try:
        run()
    except (HydraException, OmegaConfBaseException) as error:
        sys.exit(f"error: {mistakes.in_configuration(error)}")


if __name__ == "__main__":
    main()
