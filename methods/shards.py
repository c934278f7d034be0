"""One game on several processes: each has a copy of it, and what is asked in parts is answered by all at once."""

import pickle
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from contextlib import contextmanager
from functools import lru_cache
from itertools import count
from multiprocessing import get_context
from multiprocessing.context import BaseContext
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp
from typing import Any, TypeVar

import cloudpickle
import torch
from torch import Tensor

from methods.estimators.estimate import Play

ROWS = 64  # coalitions in a part, where a question has no parts of its own
AHEAD = 2  # parts for each process that are asked about before the first is answered

Answer = TypeVar("Answer")
Ask = Callable[[Any, Any], Answer]


def each(game: Play, ask: Ask[Answer], parts: Iterable[Any]) -> Iterator[Answer]:
    """ask(game, part) for each part in turn; where the game is sharded, its processes work ahead."""
    if isinstance(game, Sharded):
        return game.each(ask, parts)
    return (ask(game, part) for part in parts)


def worths(game: Play, coalitions: Tensor) -> Tensor:
    """The worths (k, N) of coalitions (k, n) that can be asked about in any parts."""
    return torch.cat([*each(game, _call, coalitions.split(ROWS))])


@contextmanager
def team(workers: int) -> Iterator[Callable[[Callable[[], Play]], Any]]:
    """Within the context: a function of `make`, which makes a game, to a game that so many processes play together.

    One worker is this process, with nothing around it. Raises ValueError for fewer, and for a game that cannot be sent.
    """
    if workers < 1:
        raise ValueError(f"workers={workers} cannot score: give 1 (no further process) or more")
    if workers == 1:
        yield lambda make: make()
        return
    with TemporaryDirectory(prefix="games-") as games, ProcessPoolExecutor(workers, _context()) as pool:
        yield lambda make: Sharded(pool, _sent(make, games, workers), workers)


class Sharded:
    """A game in `folder` that several processes play.

    A part is answered by one process, as the game itself would answer it on as many threads, so values do not depend on
    how many processes there are. Each takes its share of this process's threads and, one after the other, the next of
    the GPUs. `evaluations` counts the coalitions behind the answers that were taken.
    """

    def __init__(self, pool: Executor, folder: Path, workers: int):
        self.pool, self.folder, self.workers, self.evaluations = pool, folder, workers, 0
        self.threads = max(1, torch.get_num_threads() // workers)

    def __call__(self, coalitions: Tensor) -> Tensor:
        return next(self.each(_call, [coalitions]))

    def each(self, ask: Ask[Answer], parts: Iterable[Any]) -> Iterator[Answer]:
        """ask(game, part) for each part, in their order; what nobody waits for any more is not begun."""
        asked: deque[Future[bytes]] = deque()
        try:
            for part in parts:
                question = cloudpickle.dumps((ask, part))  # by value: containers have little shared memory
                asked.append(self.pool.submit(_answer, self.folder, self.threads, question))
                if len(asked) > AHEAD * self.workers:
                    yield self._take(asked.popleft().result())
            while asked:
                yield self._take(asked.popleft().result())
        finally:
            for future in asked:
                future.cancel()

    def _take(self, answered: bytes) -> Any:
        answer, evaluations = pickle.loads(answered)
        self.evaluations += evaluations
        return answer


def _context() -> BaseContext:
    """Workers are forks of a process that has imported all they need and used neither OpenMP nor a GPU."""
    context = get_context("forkserver")
    context.set_forkserver_preload(["methods.game"])
    return context


def _sent(make: Callable[[], Play], games: str, workers: int) -> Path:
    """The folder of a game, for the workers to find."""
    folder = Path(mkdtemp(dir=games))
    try:
        torch.save(make, folder / "game", pickle_module=cloudpickle)
    except (pickle.PicklingError, TypeError, AttributeError, RuntimeError) as error:
        raise ValueError(f"workers={workers}: they cannot be sent the network ({error}): choose workers=1") from error
    return folder


def _call(game: Play, coalitions: Tensor) -> Tensor:
    return game(coalitions)


def _answer(folder: Path, threads: int, question: bytes) -> bytes:
    """In a worker: the answer, and how many coalitions it took."""
    game, (ask, part) = _copy(folder, threads), pickle.loads(question)
    before = game.evaluations
    answer = ask(game, part)
    return pickle.dumps((answer, game.evaluations - before))


@lru_cache(maxsize=1)
def _copy(folder: Path, threads: int) -> Any:
    """This worker's copy of the game, on the GPU whose turn it is."""
    torch.set_num_threads(threads)
    place = next(place for place in count() if _claimed(folder / str(place)))
    gpus = {"cuda:0": f"cuda:{place % max(1, torch.cuda.device_count())}"}
    return torch.load(folder / "game", map_location=gpus, weights_only=False)()


def _claimed(path: Path) -> bool:
    """Whether this process is the first that wants the path."""
    try:
        path.touch(exist_ok=False)
    except FileExistsError:
        return False
    return True
