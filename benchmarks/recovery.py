"""How a run's network recovers: by the recipe that all get, by a teacher, and with more where too much is lost."""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from functools import partial
from typing import Any

from hydra.utils import instantiate
from torch import nn

from benchmarks.distillation import Teacher
from benchmarks.measuring import Stopwatch
from benchmarks.preparation import Setup, build
from benchmarks.sampling import seed_of, steps_per_epoch
from benchmarks.stages import timed
from benchmarks.tasks import Task
from methods.criterion import Scores
from methods.pruning import Pruned
from methods.regrowth import growth

ROUNDING = 1e-9  # 0.76 − 0.74 is more than 0.02


class Recovery:
    """What `methods.pruning.prune` asks of training: to recover, to evaluate, and to say where weights would grow.

    More training is given, at most `accept.rounds` times, while the final network loses more than `accept.drop` of the
    dense network's metric on the validation part; `extra` counts it. `unrecovered` is the network before its last
    training, kept where it is to be analysed; `curve` is the metric after each epoch, by the steps until then.
    """

    def __init__(self, config: Mapping[str, Any], setup: Setup, dense: nn.Module, watch: Stopwatch):
        self.setup, self.watch, self.seed, self.accept = setup, watch, config["seed"], config["accept"]
        self.task = _taught(setup.task, dense, config["training"]["distillation"])
        self.dense = self.evaluate(dense)
        self.extra, self.analysed = 0, bool(config["analysis"])
        self.epoch = steps_per_epoch(len(setup.lessons), setup.recovery.batch_size) if config["watch"] else None
        self.curve: list[tuple[int, float]] = []
        self.unrecovered: nn.Module | None = None

    def __call__(self, model: nn.Module, start: int, stop: int) -> None:
        """Train `model` in place for the steps [start, stop); after the last of them, until it is accepted."""
        plan = self.setup.plan
        last = start == plan.removals[-1][0] and stop == plan.steps > 0
        if last and self.analysed:
            self.unrecovered = deepcopy(model)
        self.train(model, self.seed, start, stop)
        if last:
            self.until_accepted(model)

    def until_accepted(self, model: nn.Module) -> None:
        """Train `model` more, in place, as often as is allowed and needed."""
        most = 0 if self.accept["drop"] is None else self.accept["rounds"]
        while self.extra < most and not self.accepts(self.evaluate(model)):
            self.extra += 1
            self.train(model, seed_of("more recovery", self.seed, self.extra))

    def train(self, model: nn.Module, seed: int, start: int = 0, stop: int | None = None) -> None:
        """Steps [start, stop) of the recovery's recipe, in place."""
        stretch = {"start": start, "stop": stop, "watch": self.look}
        with self.watch("recovery_seconds"):
            self.task.train(model, self.setup.lessons, self.setup.recovery, seed, **stretch)

    def look(self, model: nn.Module, step: int) -> None:
        """Add to the curve at the end of an epoch."""
        if self.epoch and step % self.epoch == 0:
            self.curve.append((step + self.extra * self.setup.plan.steps, self.evaluate(model)))
            model.train()

    def evaluate(self, model: nn.Module) -> float:
        """The metric on the validation part."""
        with self.watch("measuring_seconds"):
            return self.setup.task.evaluate(model, self.setup.data.validation)[self.setup.task.metric]

    def accepts(self, quality: float) -> bool:
        """Whether no more is lost than may be lost."""
        return self.dense - quality <= self.accept["drop"] + ROUNDING

    def verdict(self, pruned: Pruned) -> dict[str, Any] | None:
        """What the record says of acceptance; None where nobody asked."""
        drop, quality = self.accept["drop"], pruned.rounds[-1].after
        if drop is None:
            return None
        told = {"dense": self.dense, "pruned": quality, "extra_recoveries": self.extra}
        return {"drop": drop, **told, "accepted": self.accepts(quality)}

    @timed
    def grow(self, model: nn.Module, groups: Sequence, step: int) -> Scores:
        """Where weights would grow: as the batch says that recovery sees next."""
        batch = {"part": self.setup.lessons, "recipe": self.setup.recovery, "seed": self.seed, "step": step}
        return growth(model, groups, partial(self.task.loss_at, **batch))


def _taught(task: Task, dense: nn.Module, distillation: Mapping[str, float]) -> Task:
    return task.taught(Teacher(dense, **distillation)) if distillation["weight"] else task


def restarted(config: Mapping[str, Any], recovery: Recovery, pruned: Pruned) -> Pruned:
    """The pruned architecture from its initial weights, with all the training that others get: dense, then recovery."""
    setup = recovery.setup
    network = {key: value for key, value in config["model"]["network"].items() if key != "weights"}
    untrained = {**config, "checkpoint": None, "model": {**config["model"], "network": network}}
    initial = build(untrained, setup.data, setup.example)
    model, _ = setup.plan.granularity.remove(initial, setup.plan.groups, pruned.rounds[-1].kept)
    with recovery.watch("recovery_seconds"):
        setup.task.train(model, setup.data.train, instantiate(config["training"]["dense"]), recovery.seed)
    recovery.train(model, recovery.seed)
    recovery.until_accepted(model)
    last = replace(pruned.rounds[-1], after=recovery.evaluate(model))
    return replace(pruned, model=setup.plan.granularity.finish(model), rounds=[*pruned.rounds[:-1], last])
