"""From a pruned network to what is shipped: compressed, exported, checked, and measured as the files that they are."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
import zstandard
from hydra.utils import instantiate
from torch import Tensor, nn

from benchmarks import energy, exporting, measuring, memory
from benchmarks.exporting import Form, Session
from benchmarks.preparation import Setup
from benchmarks.records import write_whole
from benchmarks.recovery import Recovery

EXAMPLES = 64  # of the validation part, on which an export is checked and its memory measured
TOLERANCE = 1e-3  # of the outputs' standard deviation, that a float32 export may differ from PyTorch
LEVEL = 12  # of zstd: beyond it, minutes for a percent
CONTROL = "control"


@dataclass(frozen=True)
class Artefact:
    """A network in a form: `network` names the stage (dense, pruned, int8_static …), `engine` what runs it.

    `model` is what was exported: the last network in PyTorch.
    """

    network: str
    engine: str
    model: nn.Module
    form: Form
    difference: float = 0.0  # from the network in PyTorch: the largest, over the standard deviation of the outputs


def compress(config: Mapping[str, Any], recovery: Recovery, pruned: nn.Module) -> dict[str, nn.Module]:
    """The networks after each stage of compression that works on networks, by the names of the stages."""
    networks, model = {}, pruned
    for name, stage in config["compression"].items():
        if "network" in stage:
            model = instantiate(stage["network"])(model)
            if stage.get("recover"):
                recovery.train(model, recovery.seed)
            networks[name] = model
    return networks


def ship(config: Mapping[str, Any], setup: Setup, networks: Mapping[str, nn.Module], folder: Path) -> list[Artefact]:
    """Every network in PyTorch; the dense one, the control and the last one in every other form; integers behind them.

    `networks` has the dense network, the control, and what pruning and each stage made of it. Raises ValueError for an
    export that does not put out what PyTorch does.
    """
    *_, last = networks
    example, _ = setup.data.validation.draw(EXAMPLES, seed=0)
    artefacts = [
        Artefact(name, "eager", model, exporting.eager(model, example, folder / name))
        for name, model in networks.items()
    ]
    for engine, export in instantiate(config["export"]).items():
        for name in dict.fromkeys(("dense", CONTROL, last)):
            form = export(networks[name], example, folder / name)
            difference = _agreeing(networks[name], form, example, f"{engine} of {name}")
            artefacts.append(Artefact(name, engine, networks[name], form, difference))
    return [*artefacts, *_in_integers(config, setup, networks[last], folder / f"{last}.onnx", example)]


def _in_integers(
    config: Mapping[str, Any], setup: Setup, model: nn.Module, path: Path, example: Tensor
) -> Iterator[Artefact]:
    """What the stages make that work on files, each of the one before it."""
    for name, stage in config["compression"].items():
        if "file" in stage:
            inputs, _ = setup.data.validation.draw(stage.get("examples", 1), config["seed"])
            target, quantize = path.with_name(f"{name}.onnx"), instantiate(stage["file"])
            write_whole(target, partial(quantize, path, inputs=inputs))
            path, form = target, Form(target, partial(Session, target))
            yield Artefact(name, "onnx", model, form, _difference(model, form, example))


def _agreeing(model: nn.Module, form: Form, example: Tensor, what: str) -> float:
    """The difference to PyTorch; ValueError where it is not that of another order of summation."""
    difference = _difference(model, form, example)
    if not difference <= TOLERANCE:  # nan is no agreement
        raise ValueError(
            f"{what} differs from PyTorch by {difference:.2g} of the outputs' standard deviation, where at most "
            f"{TOLERANCE:g} is rounding: leave this export out, and tell its makers"
        )
    return difference


@torch.inference_mode()
def _difference(model: nn.Module, form: Form, example: Tensor) -> float:
    expected, found = model.eval()(example), form.open(torch.get_num_threads())(example)
    return float((found - expected).abs().max() / expected.std())


def measure(
    config: Mapping[str, Any], setup: Setup, artefacts: list[Artefact], known: Mapping[str, Mapping[str, float]]
) -> Iterator[dict[str, Any]]:
    """A row for each artefact: metrics on the test part (`known` of the networks that were judged already), MACs, bytes
    of the file, plain and entropy-coded, peak memory, and latencies by threads and batch size.
    """
    latencies = _latencies(config, setup, artefacts)
    for artefact in artefacts:
        row = {"network": artefact.network, "engine": artefact.engine, "difference": artefact.difference}
        judged = {} if artefact.network == CONTROL else _judged(setup, artefact, known)
        yield {**row, **judged, "latency": latencies[artefact.network, artefact.engine]}


def _judged(setup: Setup, artefact: Artefact, known: Mapping[str, Mapping[str, float]]) -> dict[str, Any]:
    """All that is measured of one artefact alone."""
    metrics = known.get(artefact.network) if artefact.engine == "eager" else None
    example, _ = setup.data.validation.draw(EXAMPLES, seed=0)
    model = artefact.form.open(torch.get_num_threads())
    return {
        **(metrics or setup.task.evaluate(model, setup.data.test)),
        "macs": measuring.macs(artefact.model, setup.example),
        **_size(artefact.form),
        "peak_memory": _peak(artefact, model, example),
        "joules": energy.joules(model, example),
    }


def _peak(artefact: Artefact, model: nn.Module, example: Tensor) -> int | None:
    """None of what leaves no file: it is made in its process, and the memory of making it would count."""
    if any(parameter.is_cuda for parameter in model.parameters()):
        return memory.peak_on_gpu(model, example)
    if artefact.form.path is None:
        return None
    return memory.peak(artefact.form.alone or artefact.form.open, example)


def _size(form: Form) -> dict[str, int]:
    """Bytes of the file, and of the file entropy-coded (zstd)."""
    if form.path is None:
        return {}
    content = form.path.read_bytes()
    return {"bytes": len(content), "coded_bytes": len(zstandard.compress(content, LEVEL))}


def _latencies(config: Mapping[str, Any], setup: Setup, artefacts: list[Artefact]) -> dict[tuple[str, str], dict]:
    """Of each network and engine, by threads and batch size: every sample, all artefacts by turns."""
    sampled: dict[tuple[str, str], dict] = {(a.network, a.engine): {} for a in artefacts}
    options = measuring.sampling(config["latency"])
    before = torch.get_num_threads()
    for threads in sorted({count or torch.get_num_threads() for count in config["latency"]["threads"]}):
        torch.set_num_threads(threads)
        opened = {(a.network, a.engine): a.form.open(threads) for a in artefacts}
        found, contention = measuring.latencies(opened, setup.example, **options)
        for key, by_batch in found.items():
            sampled[key][str(threads)] = {**by_batch, "contention": contention}
    torch.set_num_threads(before)
    return sampled
