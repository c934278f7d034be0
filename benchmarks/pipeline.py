"""One run, from its configuration to its record: train or recall, score, remove, recover, measure."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from hydra.errors import InstantiationException
from hydra.utils import instantiate
from torch import Tensor, nn

from benchmarks import measuring, stages
from benchmarks.data import Data
from benchmarks.records import identity
from benchmarks.training import train
from methods import surgery
from methods.allocation import Budget
from methods.costs import coverage
from methods.game import Evidence
from methods.granularity import Weight
from methods.groups import Group
from methods.pruning import Plan, Pruned, Round, plan, prune


def run(config: Mapping[str, Any], choices: Mapping[str, str]) -> dict[str, Any]:
    """The record of the run that `config` (plain, resolved) describes; `choices` names the file chosen on each axis.

    What can be wrong with a configuration raises ValueError before anything is trained.
    """
    setup = prepare(config)
    dense = stages.dense(
        Path(config["results"], "cache", "dense", f"{identity(stages.dense_parts(config))}.safetensors"),
        setup.network, setup.data, instantiate(config["training"]["dense"]), config["seed"],
    )
    pruned, recovery_seconds = _prune(config, setup, dense.model)
    cost = {
        "scoring_seconds": _short(sum(r.scores.seconds for r in pruned.rounds)),
        "evaluations": sum(r.scores.evaluations for r in pruned.rounds),
        "recovery_seconds": _short(recovery_seconds),
        "training_seconds": dense.seconds,
    }
    return {
        "id": identity(stages.run_parts(config)),
        "sweep": config["sweep"],
        "choices": dict(choices),
        "config": dict(config),
        "seed": config["seed"],
        "budget": {"of": config["budget"]["of"], "keep": config["keep"], "achieved": pruned.rounds[-1].achieved},
        "coverage": coverage(setup.plan.cost),
        "rounds": [_round(r, config) for r in pruned.rounds],
        **_measure(config, setup, dense.model, pruned),
        "cost": cost,
        "machine": measuring.machine(setup.device),
        "versions": measuring.versions(),
        "commit": measuring.commit(),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
    }


@dataclass(frozen=True)
class Setup:
    """All that a run needs before it trains: data, an untrained network, its plan and the evidence for scores."""

    device: torch.device
    data: Data
    network: nn.Module
    example: Tensor
    plan: Plan
    evidence: Evidence | None
    criterion: Any
    recovery: Any


def prepare(config: Mapping[str, Any]) -> Setup:
    """Load the data, build the network, plan its pruning and rehearse the criterion. Raises ValueError for what cannot work."""
    device = _device(config["device"])
    if config["threads"]:
        torch.set_num_threads(config["threads"])
    data = load(config, device)
    example, targets = data.validation.draw(2, seed=0)
    network = build(config, data.classes, example)
    recovery = instantiate(config["training"]["recovery"])
    chosen = plan(
        network, example, Budget(config["keep"], **config["budget"]), instantiate(config["granularity"]),
        instantiate(config["schedule"]), recovery.steps(len(data.train)),
    )
    criterion = instantiate(config["method"]["criterion"])
    _rehearse(criterion, network, chosen, Evidence(example, targets), config)
    examples = config["method"].get("examples")
    evidence = Evidence(*data.validation.draw(examples, config["seed"])) if examples else None
    return Setup(device, data, network, example, chosen, evidence, criterion, recovery)


def load(config: Mapping[str, Any], device: torch.device) -> Data:
    """The data set, with the channels that the model asks for. Raises ValueError or FileNotFoundError for one that is not there."""
    source = {key: value for key, value in config["dataset"].items() if key != "name"}
    channels = config["model"]["channels"] or source["channels"]
    try:
        return instantiate(source, device=device, channels=channels)
    except InstantiationException as error:
        raise error.__cause__ or error


def build(config: Mapping[str, Any], classes: int, example: Tensor) -> nn.Module:
    """The untrained network, seeded, in eval mode. Raises ValueError when it cannot take images like `example` (B, C, H, W)."""
    with torch.random.fork_rng():
        torch.manual_seed(config["seed"])
        network = instantiate(config["model"]["network"])(num_classes=classes).to(example.device).eval()
        try:
            with torch.no_grad():
                network(example)  # lazy layers take their shapes from it
        except (RuntimeError, ValueError) as error:
            raise ValueError(
                f"{config['model']['network']['_target_']} cannot take images of {tuple(example.shape[1:])} "
                f"({str(error).splitlines()[0]}): choose another model or resize them with dataset.size"
            ) from error
    return network


def _rehearse(criterion: Any, network: nn.Module, chosen: Plan, evidence: Evidence, config: Mapping[str, Any]) -> None:
    """Score a little, so that an option that cannot work shows before the training, not after it."""
    groups = chosen.groups
    if "examples" in config["method"]:
        if isinstance(chosen.granularity, Weight):
            raise ValueError("this method scores units, not weights: choose granularity=unit, or method=magnitude, random or gradual")
        groups = [_pair(groups[0])]
    try:
        criterion(network, groups, evidence, config["seed"])
    except (TypeError, RuntimeError) as error:
        options = {key: value for key, value in config["method"]["criterion"].items() if not key.startswith("_")}
        raise ValueError(f"method cannot work with the options {options}: {error}") from error


def _pair(group: Group) -> Group:
    """The first two units of a group, as a group."""
    return replace(group, ids=group.ids[:2], slices=tuple(replace(s, index=s.index[:2]) for s in group.slices))


def _prune(config: Mapping[str, Any], setup: Setup, dense: nn.Module) -> tuple[Pruned, float]:
    """The pruned and recovered network, and the seconds that recovery took."""
    seconds = 0.0

    def recover(model: nn.Module, start: int, stop: int) -> None:
        nonlocal seconds
        begin = time.perf_counter()
        train(model, setup.data.train, setup.recovery, config["seed"], start, stop)
        seconds += time.perf_counter() - begin

    def evaluate(model: nn.Module) -> float:
        return measuring.evaluate(model, setup.data.validation)["accuracy"]

    scores = Path(config["results"], "cache", "scores", f"{identity(stages.scores_parts(config))}.safetensors")
    score = stages.scorer(setup.criterion, setup.evidence, config["seed"], scores)
    return prune(dense, setup.plan, score, instantiate(config["allocation"]), recover, evaluate), seconds


def _measure(config: Mapping[str, Any], setup: Setup, dense: nn.Module, pruned: Pruned) -> dict[str, Any]:
    """Accuracy on the test part, read once, size and latency of the dense and the pruned network, and of a mask as control."""
    networks = {"dense": dense, "pruned": pruned.model, "control": _control(setup, dense, pruned)}
    latencies = measuring.latencies(networks, setup.example, **config["latency"])
    measured = {
        name: {**measuring.evaluate(networks[name], setup.data.test), **measuring.size(networks[name], setup.example),
               "latency": latencies[name]}
        for name in ("dense", "pruned")
    }
    return {**measured, "control": {"latency": latencies["control"]}}


def _control(setup: Setup, dense: nn.Module, pruned: Pruned) -> nn.Module:
    """The dense network under a mask: zeros save no time, so a latency that is not the dense one's is noise."""
    if isinstance(setup.plan.granularity, Weight):
        return pruned.model
    return surgery.zeroed(dense, setup.plan.groups, {group.name: group.ids for group in pruned.groups})


def _round(done: Round, config: Mapping[str, Any]) -> dict[str, Any]:
    """A round as JSON; of single weights, which are too many to list, the number that is left in each layer."""
    units = {name: ids.tolist() for name, ids in done.kept.items()}
    single = config["granularity"]["_target_"].endswith("Weight")
    return {
        "step": done.step,
        "asked": done.asked,
        "achieved": done.achieved,
        "units": sum(map(len, units.values())),
        "accuracy_before": done.before,
        "accuracy_after": done.after,
        "scoring_seconds": _short(done.scores.seconds),
        "evaluations": done.scores.evaluations,
        "kept": {name: len(ids) for name, ids in units.items()} if single else units,
        "scores": {} if single else {
            name: list(map(_short, values.tolist())) for name, values in done.scores.by_group.items()
        },
    }


def _short(value: float) -> float:
    """Six significant digits: what a JSON file of many thousand scores needs."""
    return float(f"{value:.6g}")


def _device(name: str) -> torch.device:
    """The device of that name; "auto" is a GPU where there is one. Raises ValueError for one that is not here."""
    if name == "cuda" and not torch.cuda.is_available():
        raise ValueError("device=cuda is not available here: choose device=auto or device=cpu")
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")
