"""What a run will do, done a little, so that what cannot work shows before the training and not after it."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

from hydra.errors import InstantiationException
from hydra.utils import instantiate
from torch import Tensor, nn

from benchmarks.distillation import Teacher
from benchmarks.landscape import require_loss
from benchmarks.play import require_group
from benchmarks.tasks import Task
from methods.game import Evidence
from methods.groups import Group, require_units
from methods.pruning import Plan


def rehearse_stages(config: Mapping[str, Any], task: Task, network: nn.Module, groups: Sequence) -> None:
    """Find a teacher, compress a small layer, load every engine. Raises ValueError for what cannot work."""
    if config["training"]["distillation"]["weight"]:
        task.taught(Teacher(network, **config["training"]["distillation"]))
    stages = config["compression"]
    kinds = ["file" if "file" in stage else "network" for stage in stages.values()]
    if kinds != sorted(kinds, reverse=True):
        raise ValueError(f"compression={list(stages)} goes back from files to networks: put the int8 stages last")
    if "file" in kinds and "onnx" not in config["export"]:
        raise ValueError(f"compression={list(stages)[-1]} works on ONNX files: add export=onnx")
    for stage in stages.values():
        if "network" in stage:
            instantiate(stage["network"])(nn.Sequential(nn.Linear(2, 2)))
    if "landscape" in config["analysis"]:
        require_loss(task)
    if "game" in config["analysis"]:
        require_units(groups)
        require_group(groups, config["analysis"]["game"]["group"])
    try:
        instantiate(config["export"])
    except InstantiationException as error:
        raise ValueError(f"export={list(config['export'])} needs more libraries ({error.__cause__})") from error


def rehearse(criterion: Any, network: nn.Module, evidence: Evidence, chosen: Plan, config: Mapping[str, Any]) -> None:
    """Score a little, so that an option that cannot work shows before the training, not after it."""
    groups = chosen.groups
    try:
        if "worth" in config["method"]["criterion"]:
            here = {"workers": 1} if "workers" in config["method"]["criterion"] else {}
            _start(partial(criterion, **here), network, groups, evidence, config["seed"])
        if "examples" in config["method"] and isinstance(groups[0], Group):
            groups = [_pair(groups[0])]
        criterion(network, groups, evidence, config["seed"])
    except (TypeError, RuntimeError) as error:
        options = {key: value for key, value in config["method"]["criterion"].items() if not key.startswith("_")}
        raise ValueError(f"method cannot work with the options {options}: {error}") from error


class _Started(Exception):
    """The first coalition is asked for: nothing has spoken against the game."""


def _start(criterion: Any, network: nn.Module, groups: Sequence[Group], evidence: Evidence, seed: int) -> None:
    """Prepare the games of the first, the smallest and the largest group, whose size or memory can be too much."""

    def worth(outputs: Tensor, targets: Tensor) -> Tensor:
        raise _Started

    def size(group: Group) -> int:
        return len(group.ids)

    for group in {g.name: g for g in (groups[0], min(groups, key=size), max(groups, key=size))}.values():
        with suppress(_Started):
            criterion(network, [group], evidence, seed, worth=worth)


def _pair(group: Group) -> Group:
    """The first two units of a group, as a group."""
    return replace(group, ids=group.ids[:2], slices=tuple(replace(s, index=s.index[:2]) for s in group.slices))
