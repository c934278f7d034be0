"""Gymnasium's CartPole-v1: starting states as a data set, and episodes from them, side by side."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from gymnasium.envs.classic_control.cartpole import CartPoleVectorEnv
from torch import Tensor

from benchmarks.data import Data, InMemory
from benchmarks.sampling import generator

LONGEST = 500  # steps of an episode, each of which is rewarded with 1
ACTIONS = 2


class Transitions(NamedTuple):
    """What happened in one step of B episodes: states (B, 4), actions (B,), rewards (B,), next states, fallen (B,)."""

    states: Tensor
    actions: Tensor
    rewards: Tensor
    following: Tensor
    fallen: Tensor


def cartpole(
    *, device: str | torch.device, train: int = 8192, validation: int = 256, test: int = 256, limit: int | None = None
) -> Data:
    """Starting states, uniform in ±0.05 as gymnasium draws them; each part has its own, for ever."""

    def part(name: str, count: int) -> InMemory:
        states = 0.1 * torch.rand(count, 4, generator=generator("cartpole", name)) - 0.05
        return InMemory(states.to(device), torch.zeros(count, dtype=torch.long), _as_they_are)

    parts = part("train", min(train, limit or train)), part("validation", validation), part("test", test)
    return Data(*parts, classes=ACTIONS, shape=(4,))


def _as_they_are(states: Tensor) -> Tensor:
    return states


def episodes(act: Callable[[Tensor], Tensor], starts: Tensor) -> Iterator[tuple[Transitions, Tensor]]:
    """Play from `starts` (B, 4) until all have ended: the transitions of every step, and which (B,) still counted."""
    environment = CartPoleVectorEnv(len(starts), LONGEST)
    environment.reset(seed=0)  # of what follows an episode's end, which does not count
    environment.state = starts.T.cpu().double().numpy().copy()
    states, going = starts, np.ones(len(starts), dtype=bool)
    while going.any():
        transitions, ended = step(environment, states, act(states))
        yield transitions, torch.from_numpy(going).to(starts.device)
        states, going = transitions.following, going & ~ended


def step(environment: CartPoleVectorEnv, states: Tensor, actions: Tensor) -> tuple[Transitions, np.ndarray]:
    """One step of all episodes, and which of them it ended: by a fall, or by their length."""
    following, rewards, fallen, cut, _ = environment.step(actions.cpu().numpy())
    seen = (torch.from_numpy(array).to(states.device) for array in (rewards, following, fallen.astype(np.float32)))
    return Transitions(states, actions, *seen), fallen | cut
