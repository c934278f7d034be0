"""Threads: no more of all runs at once than there are cores, unless somebody asks for it, who is told."""

import joblib
import pytest

from benchmarks import cores, records


@pytest.fixture
def machine(monkeypatch):
    """A machine with so many cores."""
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    return lambda count: monkeypatch.setattr(joblib, "cpu_count", lambda: count)


@pytest.mark.parametrize("count", [1, 2, 3, 8, 64])
@pytest.mark.parametrize("jobs", [-2, -1, 1, 2, 3, 7, 64])
def test_processes_times_threads_are_no_more_than_there_are_cores(count, jobs, machine):
    machine(count)
    launcher = {"n_jobs": jobs}
    each, at_once = cores.threads(launcher), cores.processes(launcher)
    assert each >= 1 and at_once >= 1
    assert each * at_once <= count or (each == 1 and at_once == jobs > count)
    assert bool(cores.crowd(launcher, None)) == (each * at_once > count)


def test_one_process_has_all_cores_and_a_job_of_slurm_what_it_asked_for(machine):
    machine(8)
    assert cores.threads({}) == 8
    assert cores.threads({"cpus_per_task": 3}) == 3 and not cores.crowd({"cpus_per_task": 3}, None)


def test_threads_that_are_set_can_be_too_many(machine):
    machine(4)
    assert cores.crowd({"n_jobs": 2}, of_each=4).startswith("warning: 2 processes of 4 threads disturb each other")
    assert not cores.crowd({"n_jobs": 2}, of_each=2)


def test_the_environment_limits_threads(machine, monkeypatch):
    machine(8)
    monkeypatch.setenv("OMP_NUM_THREADS", "3,2")
    assert cores.threads({}) == 3
    monkeypatch.setenv("OMP_NUM_THREADS", "16")
    assert cores.threads({}) == 8


def test_the_record_says_the_threads(command, tmp_path, machine):
    machine(1)
    assert command("method=magnitude", "threads=null")[0] == 0
    (record,) = records.load(tmp_path / "scratch")
    assert record["machine"]["threads"] == record["config"]["threads"] == 1
