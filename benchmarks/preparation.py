"""Everything that can be known to be wrong before a run trains: data, network, plan, criterion."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from hydra.errors import InstantiationException
from hydra.utils import instantiate
from torch import Tensor, nn

from benchmarks import checkpoints, provenance, records
from benchmarks.data import Data, Part, sample
from benchmarks.identity import identity
from benchmarks.locks import only_one
from benchmarks.mistakes import UNFIT
from benchmarks.rehearsal import rehearse, rehearse_stages
from benchmarks.tasks import Task
from methods.allocation import Budget
from methods.attention import separate
from methods.criterion import Impossible
from methods.latency import Measured
from methods.pruning import Plan, plan


@dataclass(frozen=True)
class Setup:
    """All that a run needs before it trains: data, an untrained network, its plan and its criterion."""

    device: torch.device
    task: Task
    data: Data
    lessons: Part  # what recovery trains on
    network: nn.Module
    example: Tensor
    plan: Plan
    criterion: Any
    recovery: Any


def prepare(config: Mapping[str, Any]) -> Setup:
    """Load the data, build the network, plan its pruning and rehearse the criterion.

    Raises ValueError or FileNotFoundError for what cannot work.
    """
    device = _device(config["device"])
    _require_turns(config["latency"])
    if config["threads"]:
        torch.set_num_threads(config["threads"])
    task = instantiate(config["task"])
    with only_one(Path(config["results"], "cache", "data", identity(config["dataset"]))):  # of several, one downloads
        data = task.data(load(config, device))
    example, _ = data.validation.draw(2, seed=0)
    network = build(config, data, example)
    lessons = sample(data.train, config["training"]["examples"], config["seed"])
    recovery = instantiate(config["training"]["recovery"])
    with _latencies(config, device) as table:
        chosen = plan(
            network,
            example,
            Budget(config["keep"], **config["budget"]),
            instantiate(config["granularity"]),
            instantiate(config["schedule"]),
            recovery.steps(len(lessons)),
            table,
            config["layer"],
        )
    criterion = instantiate(config["method"]["criterion"])
    rehearse_stages(config, task, network, chosen.groups)
    rehearse(criterion, *task.evidence(network, data.validation, 2, seed=0), chosen, config)
    return Setup(device, task, data, lessons, network, example, chosen, criterion, recovery)


def load(config: Mapping[str, Any], device: torch.device) -> Data:
    """The data set, with the channels that the model asks for. Raises the source's own error where it is not there."""
    source = {key: value for key, value in config["dataset"].items() if key != "name"}
    if channels := config["model"].get("channels"):
        source["channels"] = channels
    return _load(json.dumps(source), device)


@lru_cache(maxsize=1)
def _load(source: str, device: torch.device) -> Data:
    """Read once for all runs of a process."""
    try:
        return instantiate(json.loads(source), device=device)
    except InstantiationException as error:
        raise error.__cause__ or error from None


def build(config: Mapping[str, Any], data: Data, example: Tensor) -> nn.Module:
    """The untrained network, seeded, in eval mode. Raises ValueError when it cannot take `example` (B, …)."""
    facts = _facts(config["model"].get("takes", ["num_classes"]), data, config["dataset"]["name"])
    with torch.random.fork_rng():
        torch.manual_seed(config["seed"])
        network = _network(config["model"]["network"], facts).to(example.device).eval()
        try:
            with torch.no_grad():
                network(example)  # lazy layers take their shapes from it
        except UNFIT as error:
            raise ValueError(
                f"{config['model']['network']['_target_']} cannot take inputs of {tuple(example.shape[1:])} "
                f"({str(error).splitlines()[0]}): choose another model or resize them with dataset.size"
            ) from error
    if config["checkpoint"]:
        checkpoints.load(network, config["checkpoint"])
    return separate(network)


@contextmanager
def _latencies(config: Mapping[str, Any], device: torch.device) -> Iterator[Measured]:
    """Latencies of layers, kept for each machine, number of threads and version of torch."""
    name = identity([provenance.machine(device), torch.__version__])
    path = Path(config["results"], "cache", "latency", f"{name}.json")
    with only_one(path):  # of several processes, one measures
        known = json.loads(path.read_text()) if path.exists() else {}
        table = dict(known)
        yield table
        if table != known:
            records.write(path, table)


def _network(config: Mapping[str, Any], facts: Mapping[str, Any]) -> nn.Module:
    """The network for these facts; pretrained weights bring their own number of classes, and get a new last layer."""
    if not config.get("weights"):
        return instantiate(config)(**facts)
    try:
        return checkpoints.with_classes(instantiate(config)(), facts["num_classes"])
    except (OSError, KeyError) as error:
        raise ValueError(
            f"no weights {config['weights']} for {config['_target_']} ({error}): connect to the network, choose "
            "DEFAULT, or give your own file as checkpoint=FILE"
        ) from error


def _facts(names: Sequence[str], data: Data, dataset: str) -> dict[str, Any]:
    """What a network is built for, by the names of its arguments. Raises ValueError for what the data do not have."""
    known = {"num_classes": data.classes, "shape": data.shape, "length": data.shape[0], "vocabulary": data.vocabulary}
    if missing := [name for name in names if known.get(name) is None]:
        raise Impossible(
            f"dataset={dataset} has no {missing[0]}, which this model is built for: choose another of them"
        )
    return {name: known[name] for name in names}


def _require_turns(latency: Mapping[str, Any]) -> None:
    if not latency["batches"] or min(latency["repeats"], *latency["batches"]) < 1:
        raise ValueError(
            f"latency.batches={latency['batches']} and latency.repeats={latency['repeats']} time nothing: give at "
            "least one batch size and one repeat, as in latency.batches=[1] latency.repeats=5"
        )


def _device(name: str) -> torch.device:
    """The device of that name; "auto" is a GPU where there is one. Raises ValueError for one that is not here."""
    if name == "cuda" and not torch.cuda.is_available():
        raise ValueError("device=cuda is not available here: choose device=auto or device=cpu")
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")
