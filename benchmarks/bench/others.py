"""Estimators of other libraries, on the suite's game of the mean worth."""

from collections.abc import Callable

import numpy as np
import torch
from captum.attr import KernelShap
from shapiq.approximator import SVARM, KernelSHAP, PermutationSamplingSV
from torch import Tensor

Play = Callable[[Tensor], Tensor]


def estimators() -> dict[str, Callable[[Play, int, int, int], Tensor]]:
    """(game, players, seed, samples per player) to values (n,)."""
    return {
        "Captum KernelShap": captum_kernel,
        "shapiq KernelSHAP": shapiq_kernel,
        "shapiq permutation": shapiq_permutation,
        "shapiq SVARM": shapiq_svarm,
    }


def captum_kernel(game: Play, players: int, seed: int, samples: int) -> Tensor:
    """Captum's regression, which draws from the global generators."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        np.random.seed(seed)
        explain = KernelShap(lambda coalitions: game(coalitions).mean(dim=1))
        return explain.attribute(
            torch.ones(1, players), n_samples=samples * players, perturbations_per_eval=players
        ).flatten()


def shapiq_kernel(game: Play, players: int, seed: int, samples: int) -> Tensor:
    """shapiq's regression in its best setting: paired, all sizes alike (leverage scores)."""
    sampler = KernelSHAP(players, pairing_trick=True, sampling_weights=np.ones(players + 1), random_state=seed)
    return _approximate(sampler, game, players, samples)


def shapiq_permutation(game: Play, players: int, seed: int, samples: int) -> Tensor:
    return _approximate(PermutationSamplingSV(players, random_state=seed), game, players, samples)


def shapiq_svarm(game: Play, players: int, seed: int, samples: int) -> Tensor:
    return _approximate(SVARM(players, random_state=seed), game, players, samples)


def _approximate(sampler, game: Play, players: int, samples: int) -> Tensor:
    def worth(coalitions: np.ndarray) -> np.ndarray:
        return game(torch.from_numpy(np.atleast_2d(coalitions)).float()).mean(dim=1).double().numpy()

    values = sampler.approximate(samples * players, worth)
    return torch.tensor([values[(player,)] for player in range(players)], dtype=torch.float32)
