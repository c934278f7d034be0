"""Deep Q-learning (Mnih et al. 2015), as a task: the targets are not known, they are learned by acting."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass

import torch
from gymnasium.envs.classic_control.cartpole import CartPoleVectorEnv
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.lr_scheduler import LambdaLR

from benchmarks.cartpole import ACTIONS, LONGEST, Transitions, episodes, step
from benchmarks.data import Data, Part
from benchmarks.distillation import Teacher
from benchmarks.sampling import seed_of
from benchmarks.training import Recipe, Watch, rate, require_finite
from methods.criterion import Impossible
from methods.game import Evidence


class Rollout(nn.Sequential):
    """The network as a player: starting states (B, 4) to the returns (B,) of its greedy episodes.

    Its layers are the network's own, by the same names, so that the network's groups are its groups.
    """

    def __init__(self, network: nn.Sequential):
        super().__init__()
        for name, layer in network.named_children():
            self.add_module(name, layer)

    def forward(self, starts: Tensor) -> Tensor:
        return returns(super().forward, starts)


def returns(values: Callable[[Tensor], Tensor], starts: Tensor) -> Tensor:
    """The returns (B,) of the episodes from `starts` (B, 4) in which the action of the largest value is taken."""
    played = episodes(lambda states: values(states).argmax(dim=1), starts)
    return sum((going.float() for _, going in played), torch.zeros(len(starts), device=starts.device))


@dataclass(frozen=True)
class QLearning:
    """Learn the values of actions from replayed experience, and act on the largest.

    Exploration falls from 1 to `exploration` over the recipe's warm-up, and stays there. `play`: criteria see whole
    episodes (worth: the return) instead of single transitions (worth: the negative TD error).
    """

    metric: str = "return"
    discount: float = 0.99
    exploration: float = 0.05
    environments: int = 4
    replay: int = 100_000
    follow: float = 0.01  # how far the network that targets come from goes towards the learner, each step
    play: bool = False

    def data(self, data: Data) -> Data:
        """Starting states, as they are."""
        return data

    def taught(self, teacher: Teacher) -> "QLearning":
        """Raises ValueError: values of actions are learned from experience only."""
        raise Impossible("Q-learning has no distillation here: set training.distillation.weight=0")

    def evidence(self, model: nn.Module, part: Part, examples: int, seed: int) -> tuple[nn.Module, Evidence]:
        """The network that criteria ask, and the examples: starting states, or the transitions of its own episodes."""
        starts, nothing = part.draw(examples, seed)
        if self.play:
            return Rollout(model), Evidence(starts, nothing)
        return model, self._transitions(model, starts, examples, seed)

    @torch.no_grad()
    def _transitions(self, model: nn.Module, starts: Tensor, examples: int, seed: int) -> Evidence:
        """A sample of the steps that greedy episodes take; targets (N, 2) are the action and its TD target."""
        played = [
            Transitions(*(field[going] for field in transitions))
            for transitions, going in episodes(lambda states: model(states).argmax(dim=1), starts)
        ]
        steps = Transitions(*(torch.cat(field) for field in zip(*played, strict=True)))
        some = torch.randperm(len(steps.actions), generator=torch.Generator().manual_seed(seed))[:examples]
        chosen = Transitions(*(field[some.to(field.device)] for field in steps))
        return Evidence(chosen.states, torch.stack([chosen.actions.float(), self._targets(model, chosen)], dim=1))

    def _targets(self, model: nn.Module, seen: Transitions) -> Tensor:
        """Bellman's right-hand side, times 1 − discount, so that values lie between 0 and 1; a fall ends all."""
        value = model(seen.following).amax(dim=1)
        return (1 - self.discount) * seen.rewards + self.discount * (1 - seen.fallen) * value

    def train(
        self,
        model: nn.Module,
        part: Part,
        recipe: Recipe,
        seed: int,
        start: int = 0,
        stop: int | None = None,
        watch: Watch = lambda model, step: None,
    ) -> None:
        """Act in `environments` episodes, one step for each optimiser step in [start, stop), and learn from replay.

        An epoch is as many steps as it takes to replay a transition for each starting state of the part.
        """
        total = recipe.steps(len(part))
        stop = total if stop is None else stop
        if start >= stop:
            return
        optimizer = recipe.optimizer(model.parameters())
        scheduler = LambdaLR(optimizer, rate(recipe, total, start))
        experience = _Experience(self, model, seed_of("experience", seed, start))
        target, losses = deepcopy(model), []
        for now in range(start, stop):
            experience.act(max(self.exploration, 1 - now / max(1, recipe.warmup * total)))
            seen = experience.sample(recipe.batch_size)
            losses.append(_learn(model, seen, self._targets(target, seen).detach(), optimizer))
            scheduler.step()
            with torch.no_grad():  # Lillicrap et al. 2016, algorithm 1
                torch._foreach_lerp_(list(target.parameters()), list(model.parameters()), self.follow)
            watch(model, now + 1)
        model.eval()
        require_finite(losses, start, recipe)

    def loss_at(self, model: nn.Module, part: Part, recipe: Recipe, seed: int, step: int) -> Tensor:
        """The squared TD error over a batch from greedy episodes of `model`: what training replays is its own."""
        starts, _ = part.draw(self.environments, seed_of("exchange", seed, step))
        seen = self._transitions(model, starts, recipe.batch_size, seed)
        return -negative_td_error(model(seen.inputs), seen.targets).mean()

    @torch.no_grad()
    def evaluate(self, model: nn.Module, part: Part) -> dict[str, float]:
        """The mean return over greedy episodes from every starting state, as a share of the longest episode's."""
        starts, _ = part.draw(len(part), 0)
        found = returns(model.eval(), starts)
        return {"return": float(found.mean()) / LONGEST, "worst": float(found.min()) / LONGEST}


class _Experience:
    """Episodes that go on for ever, and a ring of the transitions they have seen last."""

    def __init__(self, task: QLearning, model: nn.Module, seed: int):
        self.model, self.generator = model, torch.Generator().manual_seed(seed)
        self.environment = CartPoleVectorEnv(task.environments, LONGEST)
        device = next(model.parameters()).device
        self.states = torch.from_numpy(self.environment.reset(seed=seed % 2**32)[0]).to(device)
        self.ended = torch.zeros(task.environments, dtype=torch.bool)
        self.ring: Transitions | None = None
        self.size, self.count = task.replay, 0

    @torch.no_grad()
    def act(self, exploration: float) -> None:
        """One step of every episode; the step after an end, which only starts anew, teaches nothing."""
        free = torch.rand(len(self.states), generator=self.generator) < exploration
        at_random = torch.randint(ACTIONS, (len(self.states),), generator=self.generator)
        actions = torch.where(free, at_random, self.model(self.states).argmax(dim=1).cpu()).to(self.states.device)
        transitions, ended = step(self.environment, self.states, actions)
        self._remember(Transitions(*(field[~self.ended] for field in transitions)))
        self.states, self.ended = transitions.following, torch.from_numpy(ended)

    def _remember(self, new: Transitions) -> None:
        if self.ring is None:
            self.ring = Transitions(*(field.new_zeros(self.size, *field.shape[1:]) for field in new))
        places = (self.count + torch.arange(len(new.actions))) % self.size
        for kept, field in zip(self.ring, new, strict=True):
            kept[places] = field
        self.count += len(places)

    def sample(self, size: int) -> Transitions:
        """A batch, in which each remembered transition is as likely as any other."""
        assert self.ring is not None
        rows = torch.randint(min(self.count, self.size), (size,), generator=self.generator)
        return Transitions(*(field[rows] for field in self.ring))


def _learn(model: nn.Module, seen: Transitions, targets: Tensor, optimizer) -> Tensor:
    optimizer.zero_grad(set_to_none=True)
    chosen = model(seen.states).gather(1, seen.actions[:, None]).squeeze(1)
    loss = F.smooth_l1_loss(chosen, targets)
    loss.backward()
    optimizer.step()
    return loss.detach()


def negative_td_error(outputs: Tensor, targets: Tensor) -> Tensor:
    """The squared error of the value of the action taken, negative: (B,); targets (B, 2): action, TD target."""
    actions, values = targets[:, 0].long(), targets[:, 1]
    return -(outputs.gather(1, actions[:, None]).squeeze(1) - values).square()


def episode_return(outputs: Tensor, targets: Tensor) -> Tensor:
    """The returns (B,) that a Rollout puts out."""
    return outputs
