"""One run, from its configuration to its record: train or recall, score, remove, recover, measure."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from math import isnan
from pathlib import Path
from typing import Any

from hydra.utils import instantiate
from torch import Tensor, nn

from benchmarks import checkpoints, deployment, measuring, provenance, stages
from benchmarks.identity import dense_parts, identity, run_parts, scores_parts
from benchmarks.measuring import Stopwatch
from benchmarks.preparation import Setup, prepare
from benchmarks.recovery import Recovery, restarted
from benchmarks.stages import Ask
from methods import surgery
from methods.costs import coverage
from methods.granularity import Weight
from methods.pruning import Pruned, Round, prune


def run(config: Mapping[str, Any], choices: Mapping[str, str]) -> dict[str, Any]:
    """The record of the run that `config` (plain, resolved) describes; `choices` names the file chosen on each axis.

    What can be wrong with a configuration raises ValueError before anything is trained.
    """
    setup = prepare(config)
    dense = _dense(config, setup)
    watch = Stopwatch()
    recovery = Recovery(config, setup, dense.model, watch)
    pruned = _prune(config, setup, dense.model, recovery)
    recovered = {
        "recovery": {"dense": recovery.dense, "curve": [*recovery.curve]},
        "acceptance": recovery.verdict(pruned),
    }
    networks = {"dense": dense.model, "control": _control(setup, dense.model, pruned), "pruned": pruned.model}
    compressed = deployment.compress(config, recovery, pruned.model)
    with watch("measuring_seconds"):
        measured = _measure(config, setup, networks, compressed)
        analysed = _analyse(config, setup, dense.model, recovery.unrecovered, pruned.model)
    cost = {
        "scoring_seconds": _short(sum(r.scores.seconds for r in pruned.rounds)),
        "evaluations": sum(r.scores.evaluations for r in pruned.rounds),
        "training_seconds": dense.seconds,
        **{name: _short(seconds) for name, seconds in watch.seconds.items()},
    }
    stages.keep(_cache(config, "pruned", run_parts), pruned)
    about = {**_about(config, choices, setup, pruned), **recovered}
    return {**about, **measured, "analysis": analysed, "cost": cost, **_where(setup)}


def _dense(config: Mapping[str, Any], setup: Setup) -> stages.Dense:
    """The dense network: the checkpoint that was given, or one that is trained, or recalled."""
    if config["checkpoint"]:
        return stages.Dense(setup.network, seconds=0.0)
    recipe = instantiate(config["training"]["dense"])
    path = _cache(config, "dense", dense_parts)
    train = partial(setup.task.train, part=setup.data.train, recipe=recipe, seed=config["seed"])
    return stages.dense(path, setup.network, setup.example, train)


def _about(config: Mapping[str, Any], choices: Mapping[str, str], setup: Setup, pruned: Pruned) -> dict[str, Any]:
    """What was asked, and what was done."""
    return {
        "id": identity(run_parts(config)),
        "sweep": config["sweep"],
        "choices": dict(choices),
        "config": {**config, "checkpoint": checkpoints.told(config["checkpoint"])},
        "seed": config["seed"],
        "metric": setup.task.metric,
        "examples": {part: len(getattr(setup.data, part)) for part in ("train", "validation", "test")},
        "budget": {"of": config["budget"]["of"], "keep": config["keep"], "achieved": pruned.rounds[-1].achieved},
        "coverage": coverage(setup.plan.cost),
        "rounds": [_round(r, isinstance(setup.plan.granularity, Weight)) for r in pruned.rounds],
    }


def _where(setup: Setup) -> dict[str, Any]:
    """On what machine, with what code, when."""
    return {
        "machine": provenance.machine(setup.device),
        "versions": provenance.versions(),
        "commit": provenance.commit(),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _cache(config: Mapping[str, Any], stage: str, parts: Callable[[Mapping[str, Any]], dict[str, Any]]) -> Path:
    """Where a stage's file is, named by what it depends on."""
    return Path(config["results"], "cache", stage, f"{identity(parts(config))}.safetensors")


def _prune(config: Mapping[str, Any], setup: Setup, dense: nn.Module, recovery: Recovery) -> Pruned:
    """The pruned and recovered network, watched on the validation part."""
    path = _cache(config, "scores", scores_parts)
    score = stages.scorer(setup.criterion, _evidence(config, setup), config["seed"], path)
    comparable = instantiate(config["allocation"])
    if config["method"].get("restart"):
        pruned = prune(dense, setup.plan, score, comparable, evaluate=recovery.evaluate, grow=recovery.grow)
        return restarted(config, recovery, pruned)
    return prune(dense, setup.plan, score, comparable, recovery, recovery.evaluate, recovery.grow)


def _evidence(config: Mapping[str, Any], setup: Setup) -> Ask | None:
    """How the examples for scores are found, on the validation part; None for a criterion that needs none."""
    if examples := config["method"].get("examples"):
        return lambda model: setup.task.evidence(model, setup.data.validation, examples, config["seed"])
    return None


def _measure(
    config: Mapping[str, Any], setup: Setup, networks: Mapping[str, nn.Module], compressed: Mapping[str, nn.Module]
) -> dict[str, Any]:
    """Metrics on the test part, read once, size and latency of the dense and the pruned network; latency of a mask.

    What the test part says of a dense network serves all runs that prune it. With them, if they are asked for, what
    becomes of the networks in compression and export.
    """
    samples, contention = measuring.latencies(networks, setup.example, **measuring.sampling(config["latency"]))
    judge = partial(setup.task.evaluate, part=setup.data.test)
    known = _cache(config, "judged", dense_parts).with_suffix(".json")
    judged = {
        "dense": stages.recalled(known, lambda: judge(networks["dense"])),
        "pruned": judge(networks["pruned"]),
    }
    measured = {
        name: {**metrics, **measuring.size(networks[name], setup.example), "latency": samples[name]}
        for name, metrics in judged.items()
    }
    artefacts = []
    if config["compression"] or config["export"]:
        shipped = deployment.ship(
            config, setup, {**networks, **compressed}, _cache(config, "artefacts", run_parts).with_suffix("")
        )
        artefacts = list(deployment.measure(config, setup, shipped, judged))
    return {**measured, "control": {"latency": samples["control"]}, "contention": contention, "artefacts": artefacts}


def _analyse(
    config: Mapping[str, Any], setup: Setup, dense: nn.Module, unrecovered: nn.Module | None, recovered: nn.Module
) -> dict[str, Any]:
    """What else is found out, by the names of the analyses: of the network before, during and after."""
    networks = {"dense": dense, "pruned": unrecovered or recovered, "recovered": recovered}
    analyses = instantiate(config["analysis"])
    return {name: ask(networks, setup.task, setup.data, config["seed"]) for name, ask in analyses.items()}


def _control(setup: Setup, dense: nn.Module, pruned: Pruned) -> nn.Module:
    """The dense network under a mask: zeros save no time, so a latency that is not the dense one's is noise."""
    if isinstance(setup.plan.granularity, Weight):
        return pruned.model
    return surgery.zeroed(dense, setup.plan.groups, {group.name: group.ids for group in pruned.groups})


def _round(done: Round, single: bool) -> dict[str, Any]:
    """A round as JSON; of single weights, which are too many to list, the number that is left in each layer."""
    units = {name: ids.tolist() for name, ids in done.kept.items()}
    return {
        "step": done.step,
        "asked": done.asked,
        "achieved": done.achieved,
        "units": sum(map(len, units.values())),
        "before": done.before,
        "after": done.after,
        "scoring_seconds": _short(done.scores.seconds),
        "evaluations": done.scores.evaluations,
        "kept": {name: len(ids) for name, ids in units.items()} if single else units,
        "scores": {} if single else _lists(done.scores.by_group),
        "standard_errors": {} if single else _lists(done.scores.errors),
    }


def _lists(by_group: Mapping[str, Tensor]) -> dict[str, list[float | None]]:
    """As JSON, which knows no nan: the error of a single draw."""
    return {name: [None if isnan(v) else _short(v) for v in values.tolist()] for name, values in by_group.items()}


def _short(value: float) -> float:
    """Six significant digits: what a JSON file of many thousand scores needs."""
    return float(f"{value:.6g}")
