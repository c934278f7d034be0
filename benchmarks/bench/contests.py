"""How near the truth estimators are at equal evaluations, and the seconds until they rank units as it does."""

import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from hydra import compose, initialize_config_module
from hydra.utils import instantiate
from omegaconf import OmegaConf
from scipy.stats import spearmanr
from torch import Tensor, nn

from benchmarks import schema, stages
from benchmarks.bench import others
from benchmarks.identity import dense_parts, identity
from benchmarks.preparation import build, load
from methods import dependencies
from methods.estimators import bandit, banzhaf, exact, kernel, permutation, surrogate, truncated
from methods.game import Evidence, Game
from methods.groups import Group
from methods.tracing import Traced, trace
from methods.worth import negative_cross_entropy

SAMPLES = (5, 6, 8, 10, 13, 16, 20, 25, 32, 40, 50, 64, 80)
TABLED = (5, 20, 50)
GOAL = 0.95
# Of each network: groups, and how many antithetic permutations the reference has; None for every coalition
CONTESTS = {"convnet": {"0": None, "4": 2000, "8": 2000}, "resnet20": {"4.1.conv1": 400, "5.1.conv1": 400}}

Means = Callable[[Callable[[Tensor], Tensor], int, int, int], Tensor]


class Contest(NamedTuple):
    """A game on a trained network, and values (n,) to compare with, which are known up to an error (relative L2)."""

    network: str
    model: nn.Module
    traced: Traced
    group: Group
    evidence: Evidence
    reference: Tensor
    reference_error: float

    def game(self) -> Game:
        return Game(self.traced, self.group, negative_cross_entropy, self.evidence)


def estimators(network: str) -> dict[str, Means]:
    """The suite's estimators and, on the small network, others', as (game, players, seed, samples) to values (n,)."""
    own = {
        "permutation": permutation.permutation,  # Captum's, whatever is done to seed it
        "antithetic": permutation.antithetic,
        "kernel": kernel.kernel,
        "surrogate": surrogate.surrogate,
        "adjusted": surrogate.adjusted,
        "truncated": truncated.truncated,
        "bandit": bandit.bandit,
        "banzhaf": banzhaf.banzhaf,
    }
    theirs = others.estimators() if network == "convnet" else {}
    return {**{name: partial(_mean, estimator) for name, estimator in own.items()}, **theirs}


def _mean(estimator: Callable, game: Callable[[Tensor], Tensor], players: int, seed: int, samples: int) -> Tensor:
    return estimator(game, players, seed, samples=samples).scores()


def contests(name: str, results: Path) -> Iterator[Contest]:
    """The games of some groups of a network that is trained on the digits, or recalled."""
    model, evidence = trained(name, results)
    traced = trace(model)
    found = {group.name: group for group in dependencies.find(model, evidence.inputs[:2])}
    for group, permutations in CONTESTS[name].items():
        game = Game(traced, found[group], negative_cross_entropy, evidence)
        estimate = (
            permutation.antithetic(game, game.players, 10**6, samples=permutations)
            if permutations
            else exact.exact(game, game.players)
        )
        reference = estimate.scores()
        error = float(estimate.standard_errors().norm() / reference.norm())
        yield Contest(name, model, traced, found[group], evidence, reference, error)


def trained(name: str, results: Path) -> tuple[nn.Module, Evidence]:
    """The dense network that `model=NAME training=digits` makes, and 144 validation digits."""
    schema.register()
    with initialize_config_module("conf", version_base="1.3"):
        choices = [f"model={name}", "training=digits", "method=magnitude"]
        config: Any = OmegaConf.to_container(compose("run", choices), resolve=True, enum_to_str=True)
    data = load(config, torch.device("cpu"))
    example, _ = data.validation.draw(2, seed=0)
    untrained = build(config, data, example)
    task, recipe = instantiate(config["task"]), instantiate(config["training"]["dense"])
    path = results / "cache" / "dense" / f"{identity(dense_parts(config))}.safetensors"
    dense = stages.dense(path, untrained, example, lambda model: task.train(model, data.train, recipe, 0))
    return dense.model, Evidence(*data.validation.draw(256, 0))


def distances(contest: Contest, estimator: Means, samples: int, seeds: int) -> list[dict[str, float]]:
    """For each seed: relative L2 distance and rank correlation to the reference, evaluations, seconds from scratch."""
    rows = []
    for seed in range(seeds):
        start = time.perf_counter()
        game = contest.game()
        values = estimator(game, game.players, seed, samples)
        seconds = time.perf_counter() - start
        error = float((values - contest.reference).norm() / contest.reference.norm())
        rank = float(spearmanr(values, contest.reference).statistic)
        rows.append({"error": error, "spearman": rank, "evaluations": game.evaluations, "seconds": seconds})
    return rows


def race(contest: Contest, estimator: Means, seeds: int) -> Iterator[tuple[int, list[dict[str, float]]]]:
    """Distances at more and more samples, until the mean rank correlation is at the goal, and at those tabled."""
    there = False
    for samples in SAMPLES:
        if not there or samples in TABLED:
            rows = distances(contest, estimator, samples, seeds)
            yield samples, rows
            there = there or sum(row["spearman"] for row in rows) / seeds >= GOAL
