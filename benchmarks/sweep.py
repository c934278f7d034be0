"""What surrounds the runs of a multirun: their number, those that others make, their table, and no work twice."""

import json
import os
from math import prod
from pathlib import Path
from shutil import rmtree
from typing import Any
from uuid import uuid4

from hydra._internal.callbacks import Callbacks
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.experimental.callback import Callback
from hydra.types import HydraContext
from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from benchmarks import cores, mistakes, records, report, search
from benchmarks.checkpoints import fingerprint
from benchmarks.identity import identity

# what a job is told: how many there are, which attempt at the sweep it is of, where to leave it for later
JOBS, ATTEMPT, POSTPONED = "SWEEP_JOBS", "SWEEP_ATTEMPT", "SWEEP_POSTPONED"


class Sweep(Callback):
    """Hydra calls it before and after a multirun. Of what a callback raises, Hydra swallows all but SystemExit."""

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Count the jobs; if this sweep ended before and its records are there, make its table and stop."""
        if search.asked(config):
            search.begin(config)
        done = _done(config)
        made = json.loads(done.read_text()) if done.exists() else []
        if made and not config.force and all(map(os.path.exists, made)):
            print(f"{_report(config)}\nall runs of this sweep have their records; force=true runs them again")
            raise SystemExit(0)
        if warning := cores.crowd(config.hydra.launcher, config.threads):
            print(warning, flush=True)
        if folder := config.hydra.launcher.get("submitit_folder"):
            print(f"{_count(config)} jobs, which write to {Path(folder).parent}", flush=True)
        self.attempt = uuid4().hex
        _tell(config, _count(config), self.attempt, postponed="" if search.asked(config) else self.attempt)

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Make what other processes were making and did not; print the table. Raises SystemExit if a run failed."""
        if jobs := _taken(config, self.attempt):
            _tell(config, len(jobs), self.attempt, postponed="")
            try:
                _launch(config, jobs)
            except mistakes.KILLED as error:
                raise SystemExit(f"error: {mistakes.killed(error)}") from error
        folder = Path(config.results, config.sweep)
        found = [str(path) for path in sorted((folder / "records").glob("*.json"))]
        if found:
            print(f"\n{_report(config)}")
        if failed := records.failed(folder, self.attempt):
            raise SystemExit(
                f"error: {len(failed)} runs failed: {folder / 'failed'} says why; the same command tries again"
            )
        records.write_text(_done(config), json.dumps(found))


def postpone(results: Path) -> bool:
    """Leave the job that is running for the end of its sweep; False where it is in none that would come back to it."""
    if not (name := os.environ.get(POSTPONED)):
        return False
    job = HydraConfig.get()
    path = results / "cache" / "sweeps" / name / f"{job.job.num}.json"
    records.write_text(path, json.dumps(OmegaConf.to_container(job.overrides.task)))
    return True


def _taken(config: DictConfig, attempt: str) -> list[list[str]]:
    """The overrides of all jobs that were left for later, which are then left no more."""
    folder = Path(config.results, "cache", "sweeps", attempt)
    jobs = [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"), key=lambda path: int(path.stem))]
    rmtree(folder, ignore_errors=True)
    return jobs


def _tell(config: DictConfig, jobs: int, attempt: str, postponed: str) -> None:
    """Set the environment of every job, in whatever process or machine a launcher runs it."""
    with read_write(config.hydra), open_dict(config.hydra):
        for key, value in ((JOBS, jobs), (ATTEMPT, attempt), (POSTPONED, postponed)):
            config.hydra.overrides.hydra.append(f"++hydra.job.env_set.{key}='{value}'")


def _launch(config: DictConfig, jobs: list[list[str]]) -> None:
    """Run jobs as the sweep ran its own, with the same launcher."""
    from benchmarks.run import run  # which imports this module

    context = HydraContext(config_loader=GlobalHydra.instance().config_loader(), callbacks=Callbacks())
    launcher = Plugins.instance().instantiate_launcher(
        hydra_context=context, task_function=run.__wrapped__, config=config
    )
    launcher.launch(jobs, initial_job_idx=0)


def _overrides(config: DictConfig) -> list[str]:
    """The sweep's parameters and the command line, which wins."""
    parameters = config.hydra.sweeper.params or {}
    return [*(f"{key}={value}" for key, value in parameters.items()), *config.hydra.overrides.task]


def _count(config: DictConfig) -> int:
    if search.asked(config):
        return config.hydra.sweeper.n_trials
    overrides = OverridesParser.create().parse_overrides(_overrides(config))
    last = {override.key_or_group: override for override in overrides}
    return prod(len(list(o.sweep_string_iterator())) for o in last.values() if o.is_sweep_override())


def _done(config: DictConfig) -> Path:
    """Where the records of a sweep that ended are listed: named by its overrides, all configuration files, and the
    contents of the checkpoint.
    """
    sources = [Path(source.path) for source in config.hydra.runtime.config_sources if source.schema == "file"]
    files = {str(path): path.read_text() for source in sources for path in sorted(source.rglob("*.yaml"))}
    weights = fingerprint(config.checkpoint) if Path(config.checkpoint or "").is_file() else None
    name = identity([_overrides(config), files, weights])
    return Path(config.results, "cache", "sweeps", f"{name}.json")


def _report(config: DictConfig) -> str:
    """Of a search, what validation data say; of any other sweep, its tables."""
    try:
        if search.asked(config):
            return search.outcome(config, _overrides(config))
        return report.report(Path(config.results, config.sweep))
    except ValueError as error:
        raise SystemExit(f"error: {error}") from error
