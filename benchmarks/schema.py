"""The types of what can be set from the command line, so that a wrong one stops before work is done."""

from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING

Device = Enum("Device", "auto cpu cuda")
Currency = Enum("Currency", "units parameters macs latency")
Mode = Enum("Mode", "offline online disabled")


@dataclass
class Recipe:
    """benchmarks.training.Recipe, as configuration."""

    epochs: int = MISSING
    batch_size: int = MISSING
    warmup: float = MISSING
    optimizer: Any = MISSING
    _target_: str = "benchmarks.training.Recipe"


@dataclass
class Distillation:
    """benchmarks.distillation.Teacher, as configuration."""

    weight: float = MISSING
    temperature: float = MISSING


@dataclass
class Training:
    dense: Recipe = MISSING
    recovery: Recipe = MISSING
    frequency: int = MISSING
    distillation: Distillation = MISSING
    examples: int | None = None


@dataclass
class Accept:
    """What a pruned network may lose, in the task's metric on validation data, and how often it may recover again."""

    drop: float | None = None
    rounds: int = 3


@dataclass
class Budget:
    """methods.allocation.Budget, as configuration; the fraction is `keep`."""

    of: Currency = Currency.parameters
    floor: int = 1
    multiple: int = 1


@dataclass
class Latency:
    """How latency is sampled: batch sizes, and turns or seconds of each, whichever ends first; threads of exports."""

    batches: list[int] = field(default_factory=lambda: [1, 64])
    repeats: int = 30
    seconds: float = 10.0
    threads: list[int | None] = field(default_factory=lambda: [1, None])


@dataclass
class Tracker:
    mode: Mode = Mode.offline
    project: str = "shapley-pruning"
    entity: str | None = None


@dataclass
class Run:
    task: Any = MISSING
    dataset: Any = MISSING
    model: Any = MISSING
    method: Any = MISSING
    profile: Any = None
    worth: Any = MISSING
    aggregate: Any = MISSING
    estimator: Any = MISSING
    until: Any = None
    granularity: Any = MISSING
    schedule: Any = MISSING
    allocation: Any = MISSING
    training: Training = MISSING
    watch: bool = True
    checkpoint: str | None = None
    accept: Accept = field(default_factory=Accept)
    keep: Any = 0.5  # a fraction, or a list of them: a run each
    budget: Budget = field(default_factory=Budget)
    layer: str | None = None
    seed: int = 0
    sweep: str = "scratch"
    results: str = "results"
    force: bool = False
    device: Device = Device.auto
    threads: int | None = None
    memory: float = 2.0**31
    workers: int = 1
    compression: Any = field(default_factory=dict)
    export: Any = field(default_factory=dict)
    analysis: Any = field(default_factory=dict)
    latency: Latency = field(default_factory=Latency)
    wandb: Tracker = field(default_factory=Tracker)


def register() -> None:
    """Make the schema known to Hydra, as `schema`."""
    ConfigStore.instance().store(name="schema", node=Run)
