"""Processes share work and survive each other: whoever is killed loses its own work and blocks nobody."""

import os
import signal
import socket
import time
from contextlib import contextmanager
from errno import EIO, ENOSYS
from multiprocessing import get_context

import pytest
import torch
from filelock import FileLock
from torch import nn

from benchmarks import mistakes, pipeline, records, report, stages, sweep
from benchmarks.locks import Busy, only_one
from tests.slurm import until

FORK = get_context("fork")


@contextmanager
def process(target, *arguments):
    """Another process, which is killed at the end if it is still there."""
    running = FORK.Process(target=target, args=arguments)
    running.start()
    try:
        yield running
    finally:
        running.kill()
        running.join()


def train_slowly(folder, seconds):
    """What a run asks of a stage; every training leaves a line."""

    def train(model):
        with open(folder / "trained", "a") as log:
            log.write(f"{os.getpid()}\n")
        time.sleep(seconds)
        nn.init.constant_(model.weight, 3.0)

    stages.dense(folder / "dense" / "abc.safetensors", nn.Linear(2, 2), torch.zeros(1, 2), train)


def trainings(folder):
    return (folder / "trained").read_text().split() if (folder / "trained").exists() else []


def test_of_processes_that_need_the_same_network_one_trains(tmp_path):
    with process(train_slowly, tmp_path, 0.5) as one, process(train_slowly, tmp_path, 0.5) as other:
        one.join(30), other.join(30)
        assert (one.exitcode, other.exitcode) == (0, 0)
    assert len(trainings(tmp_path)) == 1
    dense = stages.dense(tmp_path / "dense" / "abc.safetensors", nn.Linear(2, 2), torch.zeros(1, 2), pytest.fail)
    assert (dense.model.weight == 3).all() and dense.seconds >= 0.5


def test_where_the_one_that_trains_is_killed_another_takes_over(tmp_path):
    with process(train_slowly, tmp_path, 600) as killed:
        until(lambda: trainings(tmp_path), 30)
        with process(train_slowly, tmp_path, 0.1) as other:
            time.sleep(0.3)  # it waits
            assert len(trainings(tmp_path)) == 1
            os.kill(killed.pid, signal.SIGKILL)
            other.join(30)
            assert other.exitcode == 0
    assert len(trainings(tmp_path)) == 2 and (tmp_path / "dense" / "abc.safetensors").exists()


def write_slowly(path):
    """Half of a file, and then too long."""

    def write(partial):
        partial.write_text('{\n"id": "abc", "value":')
        time.sleep(600)

    with only_one(path):
        records.write_whole(path, write)


@pytest.mark.parametrize("before", [None, {"id": "abc", "value": 1}])
def test_a_process_killed_while_it_writes_leaves_the_old_file_or_none(before, tmp_path):
    path = tmp_path / "records" / "abc.json"
    if before:
        records.write(path, before)
    with process(write_slowly, path) as killed:
        until(lambda: list(path.parent.glob(".*.partial")), 30)
        os.kill(killed.pid, signal.SIGKILL)
        killed.join()
    assert len(list(path.parent.glob(".*.partial"))) == 1
    assert records.load(tmp_path) == ([before] if before else [])
    with only_one(path):
        assert not list(path.parent.glob(".*.partial"))  # the next one clears up
        records.write(path, {"id": "abc", "value": 2})
    assert records.load(tmp_path) == [{"id": "abc", "value": 2}]


def test_a_write_that_fails_leaves_nothing_beside_it(tmp_path):
    with pytest.raises(ZeroDivisionError):
        records.write_whole(tmp_path / "abc.json", lambda partial: partial.write_text(str(1 / 0)))
    assert not list(tmp_path.iterdir())


def test_two_machines_write_to_files_of_their_own(tmp_path, monkeypatch):
    """On one file system, processes of two machines can have the same number."""
    names = []
    for host in ("one", "other"):
        monkeypatch.setattr(socket, "gethostname", lambda host=host: host)
        records.write_whole(tmp_path / "abc", lambda partial: names.append(partial.name) or partial.touch())
    assert len(set(names)) == 2


def test_who_does_not_wait_is_told_that_another_is_at_work(tmp_path):
    with only_one(tmp_path / "abc"), pytest.raises(Busy), only_one(tmp_path / "abc", wait=False):
        pytest.fail("two at once")
    with only_one(tmp_path / "abc", wait=False):
        pass


def test_where_a_file_system_has_no_locks_work_goes_on_with_a_warning(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(FileLock, "acquire", lambda *a, **k: (_ for _ in ()).throw(OSError(ENOSYS, "no flock")))
    with only_one(tmp_path / "abc"):
        records.write_text(tmp_path / "abc", "done")
    assert "may do work twice" in caplog.text and (tmp_path / "abc").read_text() == "done"
    monkeypatch.setattr(FileLock, "acquire", lambda *a, **k: (_ for _ in ()).throw(OSError(EIO, "broken")))
    with pytest.raises(OSError, match="broken"), only_one(tmp_path / "abc"):
        pytest.fail("went on")


@pytest.mark.parametrize("launchers_error", mistakes.KILLED)
def test_a_process_of_a_sweep_that_died_is_told_in_one_line(launchers_error):
    told = mistakes.killed(launchers_error("Job 7 was cancelled. This could be\nanything"))
    assert told.startswith("a process of the sweep died (Job 7 was cancelled); ") and "\n" not in told
    assert "the same command makes what is missing, python -m benchmarks.report NAME" in told


SWEEP = ["-m", "method=magnitude,random", "seed=0,1", "sweep=shared"]


@pytest.fixture
def made(tmp_path, monkeypatch):
    """Tells which runs any process has begun. There are no tables, and no progress while there is a file `stuck`."""
    monkeypatch.setattr(report, "report", lambda folder: "")
    file, run = tmp_path / "made", pipeline.run

    def tell(config, choices):
        with open(file, "a") as log:
            log.write(f"{config['seed']} {choices['method']}\n")
        until(lambda: not (tmp_path / "stuck").exists(), 600)
        return run(config, choices)

    monkeypatch.setattr(pipeline, "run", tell)
    return lambda: file.read_text().splitlines() if file.exists() else []


def test_two_sweeps_with_the_same_command_share_the_work(command, tmp_path, made):
    with process(command, *SWEEP) as one, process(command, *SWEEP) as other:
        one.join(120), other.join(120)
        assert (one.exitcode, other.exitcode) == (0, 0)
    assert len(made()) == len(set(made())) == len(records.load(tmp_path / "shared")) == 4
    assert len(list((tmp_path / "cache" / "dense").glob("*.safetensors"))) == 2


def test_a_sweep_that_is_killed_is_completed_by_the_same_command(command, tmp_path, made):
    (tmp_path / "stuck").touch()
    with process(command, *SWEEP) as killed:
        until(made, 60)
        os.kill(killed.pid, signal.SIGKILL)
        killed.join()
    (tmp_path / "stuck").unlink()
    (lock,) = (tmp_path / "cache" / "runs").glob("*.lock")
    (partial := tmp_path / "shared" / "records" / f".{lock.stem}.json.host-1.partial").parent.mkdir(parents=True)
    partial.write_text("{")  # as if it had died a little later
    code, said = command(*SWEEP)
    assert code == 0 and len(records.load(tmp_path / "shared")) == 4, said
    assert not list(tmp_path.rglob("*.partial")) and len(made()) == 5


def hold(lock, until_there):
    with only_one(lock):
        until(until_there.exists, 60)


def test_a_sweep_comes_back_to_what_another_process_was_making_and_did_not(command, tmp_path, made):
    code, said = command(*SWEEP)
    first, *_, last = sorted(records.load(tmp_path / "shared"), key=lambda r: (r["choices"]["method"], r["seed"]))
    paths = [tmp_path / "shared" / "records" / f"{record['id']}.json" for record in (first, last)]
    for path in paths:
        path.unlink()
    lock = tmp_path / "cache" / "runs" / first["id"]
    with process(hold, lock, paths[1]):  # it dies, or fails, when the sweep is through with the others
        until(lambda: locked(lock), 30)
        code, said = command(*SWEEP)
    assert code == 0 and said.count("another process is making it, we come back to it") == 1
    assert "[1/1] digits mlp magnitude keep=0.5 seed=0: accuracy" in said
    assert len(made()) == 6 and len(records.load(tmp_path / "shared")) == 4
    assert not [path for path in (tmp_path / "cache" / "sweeps").iterdir() if path.is_dir()]


def locked(path):
    try:
        with only_one(path, wait=False):
            return False
    except Busy:
        return True


def test_a_single_run_waits_for_the_one_that_makes_its_record(command, tmp_path, made, monkeypatch):
    command("method=magnitude")
    (path,) = (tmp_path / "scratch" / "records").glob("*.json")
    record, lock, asked = records.read(path), tmp_path / "cache" / "runs" / path.stem, tmp_path / "asked"
    path.unlink()
    monkeypatch.setattr(sweep, "postpone", lambda results: asked.touch())
    with process(make, lock, asked, path, record):
        until(lambda: locked(lock), 30)
        code, said = command("method=magnitude")
    assert code == 0 and "another process is making it: waiting" in said and "has its record" in said
    assert len(made()) == 1


def make(lock, until_there, path, record):
    with only_one(lock):
        until(until_there.exists, 60)
        records.write(path, record)
