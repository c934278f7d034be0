"""Shapley values of units, by Captum's permutation sampling (Castro et al. 2009)."""

from collections.abc import Callable, Iterator, Sequence

import torch
from captum.attr import ShapleyValueSampling
from torch import Tensor, nn

from methods.criterion import Scores
from methods.game import Evidence, Game, Worth, play
from methods.groups import Group


def shapley(
    model: nn.Module,
    groups: Sequence[Group],
    evidence: Evidence,
    seed: int = 0,
    *,
    worth: Worth,
    aggregate: Callable[[Tensor], Tensor],
    permutations: int = 25,
) -> Scores:
    """Each unit's Shapley value in the game of its group, aggregated over the examples of the evidence."""

    def values(game: Game) -> Tensor:
        return shapley_values(game, game.players, permutations, seed)

    return play(model, groups, evidence, worth, aggregate, values)


def shapley_values(game: Callable[[Tensor], Tensor], players: int, permutations: int, seed: int) -> Tensor:
    """Estimates (N, n) for each example of `game`, which maps coalitions (k, n) to worths (k, N).

    For each example they sum to v(all) − v(none) exactly, whatever the number of permutations.
    """
    sampler = ShapleyValueSampling(game)
    sampler.permutation_generator = permutations_of(seed)  # Captum's own draws from torch's global generator
    values = sampler.attribute(torch.ones(1, players), n_samples=permutations, perturbations_per_eval=players)
    return values.reshape(-1, players)


def permutations_of(seed: int) -> Callable[[int, int], Iterator[list[int]]]:
    """A permutation generator for Captum, (players, how many) to orders, that draws from a generator of its own."""

    def generate(players: int, permutations: int) -> Iterator[list[int]]:
        generator = torch.Generator().manual_seed(seed)
        for _ in range(permutations):
            yield torch.randperm(players, generator=generator).tolist()

    return generate
