"""One process at a time makes a file, of all those on all machines that share its folder."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from errno import ENOLCK, ENOSYS, ENOTSUP
from pathlib import Path

from filelock import FileLock, Timeout

from benchmarks.records import forget_partials

log = logging.getLogger(__name__)
Busy = Timeout  # what `only_one` raises where another process is at work and there is no wait for it


@contextmanager
def only_one(path: Path, wait: bool = True) -> Iterator[None]:
    """Hold the lock of `path`; what writers of it left when they died is removed. Raises Busy instead of a wait.

    The lock is the system's (flock, which NFS and Lustre pass to their server), as it is given back by itself when its
    holder dies, killed or with its machine; a mere file that stands for a lock would stay and block for ever. Where
    the file system has no such locks, a warning is all: then processes may do work twice, but as every file is written
    whole, they take nothing from each other.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(f"{path}.lock", fallback_to_soft=False)
    try:
        lock.acquire(blocking=wait)
        forget_partials(path)
    except OSError as error:
        if error.errno not in (ENOSYS, ENOTSUP, ENOLCK):
            raise
        log.warning("no locks in %s (%s): processes that share it may do work twice", path.parent, error)
    try:
        yield
    finally:
        lock.release()
