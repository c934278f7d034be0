"""make bench: what one evaluation of the game costs, against Captum's sampler on a masked forward pass.

The peer is what a user would write today: a forward hook that zeroes channels, one coalition a call. Both run in this
process, in turns, on the same permutations; the ratio of each turn is what counts.
"""

import argparse
import time
from collections.abc import Callable
from statistics import median, quantiles

import torch
from captum.attr import ShapleyValueSampling
from torch import Tensor, nn

from benchmarks import models, provenance
from methods import groups
from methods.game import Evidence, Game
from methods.groups import Group
from methods.shapley import permutations_of, shapley_values
from methods.worth import negative_cross_entropy


def peer(model: nn.Module, group: Group, evidence: Evidence) -> Callable[[Tensor], Tensor]:
    """The mean worth of one coalition (1, n): a plain forward pass under a mask at the readers."""
    mask = torch.ones(len(group.ids))

    def zero(reader: Tensor) -> Callable:
        def hook(layer: nn.Module, inputs: tuple[Tensor]) -> Tensor:
            channels = torch.ones(inputs[0].shape[1])
            channels[reader] = mask[:, None]
            return inputs[0] * channels.reshape(1, -1, *[1] * (inputs[0].dim() - 2))

        return hook

    for reader in group.readers:
        model.get_submodule(reader.layer).register_forward_pre_hook(zero(reader.index))

    @torch.no_grad()
    def worth(coalition: Tensor) -> Tensor:
        mask.copy_(coalition[0])
        return negative_cross_entropy(model(evidence.inputs), evidence.targets).mean()[None]

    return worth


def turn(name: str, evidence: Evidence, drawn: int) -> tuple[float, float]:
    """Seconds per evaluation of the last group's game: the suite's, and the peer's."""
    torch.manual_seed(0)
    model = getattr(models, name)(num_classes=10).eval()
    model(evidence.inputs)
    group = groups.find(model, evidence.inputs[:2])[-1]
    game = Game(model, group, negative_cross_entropy, evidence)
    sampler = ShapleyValueSampling(peer(model, group, evidence))
    sampler.permutation_generator = permutations_of(0)
    ours = _seconds(lambda: shapley_values(game, len(group.ids), drawn, seed=0))
    theirs = _seconds(lambda: sampler.attribute(torch.ones(1, len(group.ids)), n_samples=drawn))
    return ours / (drawn * len(group.ids)), theirs / (drawn * len(group.ids))


def _seconds(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def main() -> None:
    """Print, for each network, milliseconds per evaluation and the ratio, as median and quartiles over the turns."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--examples", type=int, default=128)
    parser.add_argument("--permutations", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(provenance.machine(torch.device("cpu")))
    print(
        f"{'network':10} {'game ms':>9} {'captum on a hook ms':>20} {'ratio':>7} {'quartiles':>15}   n={options.turns}"
    )
    for name, side in (("mlp", 8), ("convnet", 8), ("convnet", 32)):
        evidence = Evidence(torch.randn(options.examples, 1, side, side), torch.arange(options.examples) % 10)
        times = [turn(name, evidence, options.permutations) for _ in range(options.turns + 1)][1:]  # the first warms up
        ratios = [theirs / ours for ours, theirs in times]
        ours, theirs = (1000 * median(column) for column in zip(*times, strict=True))
        low, _, high = quantiles(ratios)
        print(f"{name + f' {side}²':10} {ours:9.3f} {theirs:20.3f} {median(ratios):6.2f}× {low:6.2f}–{high:.2f}×")


if __name__ == "__main__":
    main()
