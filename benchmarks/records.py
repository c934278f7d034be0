"""Records: one JSON file a run, named by its identity."""

import json
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any


def write(path: Path, content: dict[str, Any]) -> None:
    """Write JSON, a line for each key, so that a reader sees the whole file or none, even if the process is killed."""
    lines = [f"{json.dumps(key)}: {json.dumps(value)}" for key, value in content.items()]
    write_text(path, "{\n" + ",\n".join(lines) + "\n}\n")


def write_text(path: Path, text: str) -> None:
    """Write text, whole or not at all."""
    write_whole(path, lambda partial: partial.write_text(text))


def write_whole(path: Path, write: Callable[[Path], Any]) -> None:
    """Have `write` fill a file beside `path`, which takes its place when it is complete.

    That file is this process's own: another's, on a machine that shares the folder, can have the same number.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{socket.gethostname()}-{os.getpid()}.partial")
    try:
        write(partial)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def forget_partials(path: Path) -> None:
    """Remove what writers of `path` left that were killed; only for who holds its lock."""
    for partial in path.parent.glob(f".{path.name}.*.partial"):
        partial.unlink(missing_ok=True)


def read(path: Path) -> dict[str, Any]:
    """Read one record. Raises ValueError for a file that is not one."""
    try:
        record = json.loads(path.read_text())
        if record["id"] != path.stem:
            raise ValueError(f"it says that its id is {record['id']}")
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is not a record ({error}): delete it and run its sweep again") from error
    return record


def sweeps(results: Path) -> list[Path]:
    """The folders of all sweeps, in the order of their names."""
    return sorted(path.parent for path in results.glob("*/records"))


def sweep(results: Path, name: str) -> Path:
    """The folder of a sweep. Raises ValueError for an unknown one and names those that exist."""
    names = [folder.name for folder in sweeps(results)]
    if name not in names and not (results / name / "failed").exists():
        known = f"choose {', '.join(names)}" if names else "it has none, python -m benchmarks.run makes them"
        raise ValueError(f"{name!r} is not a sweep in {results}: {known}")
    return results / name


def load(folder: Path) -> list[dict[str, Any]]:
    """All records of a sweep's folder, in the order of their names."""
    return [read(path) for path in sorted((folder / "records").glob("*.json"))]


def failures(folder: Path) -> list[dict[str, Any]]:
    """The failed runs of a sweep's folder that have no record since."""
    return [run for run in _without_record(folder) if not run.get("skipped")]


def skipped(folder: Path) -> list[dict[str, Any]]:
    """The runs of a sweep's folder that combine what cannot be combined."""
    return [run for run in _without_record(folder) if run.get("skipped")]


def failed(folder: Path, attempt: str) -> list[dict[str, Any]]:
    """The runs that failed in one attempt at a sweep, those that have an older record too."""
    return [run for run in _left_behind(folder) if run.get("attempt") == attempt and not run.get("skipped")]


def _without_record(folder: Path) -> Iterator[dict[str, Any]]:
    return (run for run in _left_behind(folder) if not (folder / "records" / f"{run['id']}.json").exists())


def _left_behind(folder: Path) -> Iterator[dict[str, Any]]:
    return map(read, sorted((folder / "failed").glob("*.json")))


def find(results: Path, sweep: str, name: str) -> dict[str, Any] | None:
    """The record of that name in `sweep`, or, copied into it, in any other sweep; None if there is none."""
    here = results / sweep / "records" / f"{name}.json"
    for path in _candidates(results, here):
        record = read(path)
        if path != here:
            record["sweep"] = sweep
            write(here, record)
        return record
    return None


def _candidates(results: Path, here: Path) -> Iterator[Path]:
    if here.exists():
        yield here
    yield from sorted(results.glob(f"*/records/{here.name}"))
