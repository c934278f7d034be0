"""What surrounds the runs of a multirun: their number, their table, and no work at all where all of it is done."""

import json
import os
from math import prod
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from benchmarks import records, report
from benchmarks.identity import identity


class Sweep(Callback):
    """Hydra calls it before and after a multirun. Of what a callback raises, Hydra swallows all but SystemExit."""

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Count the jobs; if this sweep ended before and its records are there, make its table and stop."""
        os.environ["SWEEP_JOBS"] = str(_count(config))
        done = _done(config)
        if not config.force and done.exists() and all(map(os.path.exists, json.loads(done.read_text()))):
            print(f"{_report(config)}\nall runs of this sweep have their records; force=true runs them again")
            raise SystemExit(0)

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Print the table of the sweep. Raises SystemExit if a run failed."""
        folder = Path(config.results, config.sweep)
        found = [str(path) for path in sorted((folder / "records").glob("*.json"))]
        if found:
            print(f"\n{_report(config)}")
        if failed := [run for run in records.failures(folder) if not run.get("skipped")]:
            raise SystemExit(
                f"error: {len(failed)} runs failed: {folder / 'failed'} says why; the same command tries again"
            )
        records.write_text(_done(config), json.dumps(found))


def _overrides(config: DictConfig) -> list[str]:
    """The sweep's parameters and the command line, which wins."""
    parameters = config.hydra.sweeper.params or {}
    return [*(f"{key}={value}" for key, value in parameters.items()), *config.hydra.overrides.task]


def _count(config: DictConfig) -> int:
    overrides = OverridesParser.create().parse_overrides(_overrides(config))
    last = {override.key_or_group: override for override in overrides}
    return prod(len(list(o.sweep_string_iterator())) for o in last.values() if o.is_sweep_override())


def _done(config: DictConfig) -> Path:
    """Where the records of a sweep that ended are listed: named by its overrides and all configuration files."""
    sources = [Path(source.path) for source in config.hydra.runtime.config_sources if source.schema == "file"]
    files = {str(path): path.read_text() for source in sources for path in sorted(source.rglob("*.yaml"))}
    name = identity([_overrides(config), files])
    return Path(config.results, "cache", "sweeps", f"{name}.json")


def _report(config: DictConfig) -> str:
    try:
        return report.report(Path(config.results, config.sweep))
    except ValueError as error:
        raise SystemExit(f"error: {error}") from error
