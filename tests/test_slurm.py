"""A sweep on a real Slurm: jobs are preempted and cancelled, and every record is there once."""

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import records
from tests import slurm

ROOT = Path(__file__).parents[1]
SWEEP = ["-m", "hydra/launcher=slurm", "hydra.launcher.cpus_per_task=1", "hydra.launcher.mem_gb=2", "sweep=array"]
RUNS = ["model=convnet", "method=magnitude,random", "seed=0,1", "training=digits", "training.dense.epochs=60"]
QUICK = ["latency.repeats=2", "latency.batches=[1]", "wandb.mode=disabled"]


@pytest.mark.slow
@pytest.mark.skipif(bool(slurm.missing()), reason=slurm.missing())
def test_a_sweep_survives_preemption_and_cancelled_jobs(tmp_path):
    results = tmp_path / "results"
    command = [sys.executable, "-m", "benchmarks.run", *SWEEP, *RUNS, *QUICK, f"results={results}"]
    with slurm.cluster(tmp_path / "slurm") as environment:
        first = start(command, environment, tmp_path / "first.log")
        slurm.until(lambda: len(list((results / "cache" / "dense").glob("*.lock"))) == 2, 300)  # two jobs train
        array = min(folder.name for folder in (results / "cache" / "submitit").glob("*_0")).split("_")[0]
        control(environment, "scontrol", "requeue", f"{array}_0")  # as preemption does
        control(environment, "scancel", f"{array}_1")
        second = start(command, environment, tmp_path / "second.log")
        codes = first.wait(900), second.wait(900)
    said = [(tmp_path / name).read_text() for name in ("first.log", "second.log")]
    assert codes[0] == 1 and f"error: a process of the sweep died (Job {array}_1 " in said[0].splitlines()[-1], said[0]
    assert codes[1] == 0 and "| magnitude" in said[1] and "| random" in said[1], said[1]
    assert output(results, f"{array}_0").count("Starting with JobEnvironment") == 2  # it went back to the queue
    assert output(results, "*").count("fewer parameters") == len(records.load(results / "array")) == 4  # nothing twice
    assert {record["machine"]["threads"] for record in records.load(results / "array")} == {1}
    assert not list(results.rglob("*.partial"))


def start(command: list[str], environment: dict[str, str], log: Path) -> subprocess.Popen:
    with open(log, "w") as file:
        return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=file, stderr=file)


def output(results: Path, job: str) -> str:
    """All that the jobs said."""
    return "".join(path.read_text() for path in (results / "cache" / "submitit").glob(f"{job}/*.out"))


def control(environment: dict[str, str], *command: str) -> None:
    subprocess.run(command, env=environment, check=True, timeout=60)
