"""The dense network and its scores: computed once, recalled by the hash of what made them."""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from benchmarks.locks import only_one
from benchmarks.records import write_text, write_whole
from methods import surgery
from methods.criterion import Scores
from methods.game import Evidence
from methods.groups import Group
from methods.pruning import Pruned, Score

Ask = Callable[[nn.Module], tuple[nn.Module, Evidence]]  # of a network: the one that criteria ask, and the examples
KINDS = ("by_group", "errors")  # the tensors of Scores


@dataclass(frozen=True)
class Dense:
    """A trained dense network and the seconds its training took, now or when it was first made."""

    model: nn.Module
    seconds: float


def dense(path: Path, untrained: nn.Module, example: Tensor, train: Callable[[nn.Module], None]) -> Dense:
    """Recall the network at `path`, or train it and leave it there."""
    seconds_file = path.with_suffix(".json")
    with only_one(path):
        if not path.exists():
            start = time.perf_counter()
            train(untrained)
            write_text(seconds_file, json.dumps({"seconds": round(time.perf_counter() - start, 3)}))
            write_whole(path, lambda partial: surgery.save(partial, untrained))
    model, _ = surgery.load(path, untrained, example)
    return Dense(model, json.loads(seconds_file.read_text())["seconds"])


def recalled(path: Path, compute: Callable[[], dict[str, float]]) -> dict[str, float]:
    """Numbers that are computed once, and read from `path` by all who need them afterwards."""
    with only_one(path):
        if not path.exists():
            write_text(path, json.dumps(compute()))
    return json.loads(path.read_text())


def scorer(criterion: Callable[..., Scores], ask: Ask | None, seed: int, path: Path) -> Score:
    """The criterion, timed; scores of a whole dense network serve every budget, so they are recalled from `path`.

    Criteria that ask for no evidence are faster than a file and are never stored.
    """

    def compute(model: nn.Module, groups: Sequence) -> Scores:
        asked, evidence = ask(model) if ask else (model, None)
        return timed(criterion)(asked, groups, evidence, seed)

    def score(model: nn.Module, groups: Sequence, step: int) -> Scores:
        dense = step == 0 and all(len(group.ids) == group.size for group in groups)
        if ask is None or not dense:
            return compute(model, groups)
        with only_one(path):
            if not path.exists():
                write_whole(path, lambda partial: _save_scores(partial, compute(model, groups)))
        return _load_scores(path)

    return score


def timed(criterion: Callable[..., Scores]) -> Callable[..., Scores]:
    """The criterion, which tells the seconds that it takes."""

    def compute(*arguments) -> Scores:
        start = time.perf_counter()
        scores = criterion(*arguments)
        return replace(scores, seconds=time.perf_counter() - start)

    return compute


def keep(path: Path, pruned: Pruned) -> None:
    """Leave the pruned network at `path`, for `methods.surgery.load`; zeros of single weights are in the weights."""
    groups = [group for group in pruned.groups if isinstance(group, Group)]
    write_whole(path, lambda partial: surgery.save(partial, pruned.model, groups))


def _save_scores(path: Path, scores: Scores) -> None:
    cost = {"evaluations": str(scores.evaluations), "seconds": str(scores.seconds)}
    values = {f"{kind}:{name}": t for kind in KINDS for name, t in getattr(scores, kind).items()}
    save_file({name: tensor.contiguous() for name, tensor in values.items()}, path, metadata=cost)


def _load_scores(path: Path) -> Scores:
    try:
        with safe_open(path, framework="pt") as file:
            cost = file.metadata()
            named = {tuple(name.split(":", 1)): file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
        by_kind = [{name: tensor for (k, name), tensor in named.items() if k == kind} for kind in KINDS]
        return Scores(*by_kind, int(cost["evaluations"]), float(cost["seconds"]))
    except (SafetensorError, KeyError, ValueError, TypeError) as error:
        raise ValueError(f"{path} holds no scores ({error}): delete it to compute them anew") from error
