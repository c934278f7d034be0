"""How many threads a run takes where nobody says it: as many as disturb no other run of its sweep."""

import os
from collections.abc import Mapping
from typing import Any

import joblib


def threads(launcher: Mapping[str, Any]) -> int:
    """The share of one run in the cores that this process may use (by affinity, cgroup and OMP_NUM_THREADS).

    Processes of joblib's launcher share them evenly, however few runs are left; a job of Slurm has what it asked for.
    """
    share = launcher.get("cpus_per_task") or max(1, joblib.cpu_count() // processes(launcher))
    limit, *_ = os.environ.get("OMP_NUM_THREADS", "").split(",")
    return min(share, int(limit)) if limit.isdigit() else share


def processes(launcher: Mapping[str, Any]) -> int:
    """How many runs a launcher has at work at once on this machine; as in joblib, -1 is one for each core."""
    asked = launcher.get("n_jobs") or 1
    return asked if asked > 0 else max(1, joblib.cpu_count() + 1 + asked)


def crowd(launcher: Mapping[str, Any], of_each: int | None) -> str:
    """A warning where the threads of all processes are more than there are cores; empty where they are not."""
    each, cores = of_each or threads(launcher), joblib.cpu_count()
    if launcher.get("cpus_per_task") or each * processes(launcher) <= cores:
        return ""
    return (
        f"warning: {processes(launcher)} processes of {each} threads disturb each other on {cores} cores: lower "
        "hydra.launcher.n_jobs or threads"
    )
