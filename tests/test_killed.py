"""Whatever a run leaves is complete or absent, when it is killed at any moment; the same command then finishes it."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks.records import write_whole
from tests.test_pipeline import record_of

FORKED = multiprocessing.get_context("fork")
SHIPPED = ["method=shapley", "model=lenet5", "dataset.size=16", "compression=[low_rank,int8_static]", "export=onnx"]


def _write_slowly(path: Path, letter: str) -> None:
    def write(partial: Path) -> None:
        with partial.open("w", buffering=1) as file:
            for _ in range(100):
                file.write(letter * 99 + "\n")
                time.sleep(1e-4)

    while True:
        write_whole(path, write)


@pytest.mark.parametrize("after", [0.0, 0.01, 0.013, 0.02, 0.03])
def test_a_file_is_whole_whenever_its_writer_is_killed(after, tmp_path):
    path = tmp_path / "file"
    path.write_text("a" * 9900)
    writer = FORKED.Process(target=_write_slowly, args=(path, "b"))
    writer.start()
    time.sleep(after)
    os.kill(writer.pid, signal.SIGKILL)
    writer.join()
    content = path.read_text()
    assert content == "a" * 9900 or content == ("b" * 99 + "\n") * 100


def files(folder: Path) -> set[Path]:
    """All that a run leaves but the locks, which are empty."""
    return {path for path in folder.rglob("*") if path.is_file() and path.suffix != ".lock"}


def test_every_file_of_a_run_takes_its_name_when_it_is_complete(tmp_path, monkeypatch):
    """Dense network, scores, pruned network and every artefact: none is written under its own name."""
    replace, named = os.replace, set()

    def watched(source, target):
        named.add(Path(target))
        return replace(source, target)

    monkeypatch.setattr(os, "replace", watched)
    record_of(tmp_path, *SHIPPED)
    left = files(tmp_path)
    assert left == named and len(left) > 10
    assert {path.parent.parent.name for path in left} >= {"cache", "artefacts"}


DYING = """
import os, signal, sys
from pathlib import Path
from tests.test_killed import SHIPPED
from tests.test_pipeline import record_of
replace, moments = os.replace, iter(range(10**6))
def die(source, target):
    if next(moments) == int(sys.argv[2]):
        os.truncate(source, os.path.getsize(source) // 2)
        os.kill(os.getpid(), signal.SIGKILL)
    replace(source, target)
os.replace = die
record_of(Path(sys.argv[1]), *SHIPPED)
"""


@pytest.mark.slow
def test_a_run_that_dies_in_the_midst_of_any_of_its_files_is_finished_by_the_next(tmp_path):
    """Killed half-way through one file, the next time through another: stages that were complete are recalled."""
    whole: dict[Path, bytes] = {}
    for moment in (0, 1, 3, 8):
        died = subprocess.run([sys.executable, "-W", "ignore", "-c", DYING, tmp_path, str(moment)])
        assert died.returncode == -signal.SIGKILL
        left = {path for path in files(tmp_path) if not path.name.endswith(".partial")}
        assert set(whole) <= left
        stages = [path for path in whole if path.suffix == ".safetensors" and path.parent.name in ("dense", "scores")]
        assert all(path.read_bytes() == whole[path] for path in stages)
        whole = {path: path.read_bytes() for path in left}
    record = record_of(tmp_path, *SHIPPED)
    assert [a["network"] for a in record["artefacts"]][-1] == "int8_static"
