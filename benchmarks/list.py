"""The command: python -m benchmarks.list [AXIS …] [--coverage] says what there is to choose, a line each."""

import argparse
import re
import sys
import warnings
from collections.abc import Iterator, Sequence
from itertools import takewhile

import torch
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from torch import Tensor, nn

from benchmarks.mistakes import CONF, UNFIT
from methods import costs, dependencies
from methods.attention import separate

SIZES = (32, 64, 224)  # of images, tried in turn
FACTS = {"num_classes": 10, "vocabulary": 1000, "length": 64, "shape": (1, 8, 8)}


def axes() -> list[str]:
    """The axes of a run: the folders of conf/."""
    return sorted(path.name for path in CONF.iterdir() if path.is_dir() and any(path.glob("*.yaml")))


def choices(axis: str) -> Iterator[tuple[str, str]]:
    """What can be chosen on an axis, and what the comment at the head of its file says of it, in its first sentence."""
    for path in sorted((CONF / axis).glob("*.yaml")):
        lines = [line for line in path.read_text().splitlines() if not line.startswith("# @package")]
        comment = [line.removeprefix("# ") for line in takewhile(lambda line: line.startswith("# "), lines)]
        yield path.stem, re.split(r"(?<!al)\. (?=[A-Z])", " ".join(comment))[0].removesuffix(".")


def coverage(name: str) -> str:
    """Parameters of a model, its units and groups, and the share of parameters that the groups cover."""
    config = OmegaConf.load(CONF / "model" / f"{name}.yaml")
    assert isinstance(config, DictConfig)
    model, example = _built(config)
    found = dependencies.find(model, example)
    share = costs.coverage(costs.unit_cost(model, found, example, "parameters"))
    parameters = sum(p.numel() for p in model.parameters())
    return (
        f"{parameters:,} parameters, {sum(g.size for g in found):,} units in {len(found)} groups, {share:.1%} covered"
    )


def _built(config: DictConfig) -> tuple[nn.Module, Tensor]:
    """The network, untrained, and two examples of the smallest size that it takes."""
    takes = list(config.get("takes", ["num_classes"]))
    errors = []
    for example in _examples(takes):
        try:
            model = instantiate(config.network)(**{name: FACTS[name] for name in takes}).eval()
            with torch.no_grad():
                model(example)
            return separate(model), example
        except UNFIT as error:
            errors.append(error)
    raise errors[-1]


def _examples(takes: Sequence[str]) -> Iterator[Tensor]:
    if "vocabulary" in takes:
        yield torch.zeros(2, FACTS["length"], dtype=torch.long)  # type: ignore[arg-type]
    elif "shape" in takes:
        yield torch.zeros(2, *FACTS["shape"])  # type: ignore[misc]
    else:
        yield from (torch.zeros(2, 3, size, size) for size in SIZES)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the choices; 2 for an axis that is none."""
    parser = argparse.ArgumentParser("python -m benchmarks.list", description="What there is to choose.")
    parser.add_argument("axis", nargs="*", help="all of them unless named")
    parser.add_argument(
        "--coverage", action="store_true", help="of each model: parameters, units, and the share covered"
    )
    chosen = parser.parse_args(arguments)
    if unknown := sorted(set(chosen.axis) - set(axes())):
        print(f"error: {unknown[0]!r} is no axis: choose {', '.join(axes())}", file=sys.stderr)
        return 2
    for axis in chosen.axis or axes():
        print(f"{axis}:")
        for name, line in choices(axis):
            print(f"  {name:26}{_covered(name) if chosen.coverage and axis == 'model' else line}")
    return 0


def _covered(name: str) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what is left whole: the share says how much that is
        return coverage(name)


if __name__ == "__main__":
    sys.exit(main())
