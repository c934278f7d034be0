"""Three lines prune any network of one's own, as the README shows them."""

import re
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import methods
from benchmarks import measuring
from methods.allocation import rms
from methods.magnitude import magnitude
from methods.surgery import tensors
from tests.networks import network


def loader(x: torch.Tensor, classes: int = 10) -> DataLoader:
    return DataLoader(TensorDataset(x, torch.arange(len(x)) % classes), batch_size=3)


class Mine(nn.Module):
    """A network that this project has never seen: attention among its layers."""

    def __init__(self):
        super().__init__()
        self.embedding, self.attention = nn.Linear(4, 8), nn.MultiheadAttention(8, 4, batch_first=True)
        self.hidden, self.head = nn.Linear(8, 32), nn.Linear(32, 10)

    def forward(self, x):
        x = self.embedding(x)
        return self.head(self.hidden(self.attention(x, x, x)[0]).relu().mean(dim=1))


def test_the_readme_runs_as_it_is_shown(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    readme = (Path(__file__).parents[1] / "README.md").read_text()
    [code] = re.findall(r"```python\n(import methods\n.*?)```", readme, flags=re.DOTALL)
    model, x, _ = network("convnet")
    names = {"model": model, "loader": loader(x), "example": x}
    exec(code, names)
    assert measuring.macs(names["small"], x) <= 0.5 * measuring.macs(model, x)
    assert (tmp_path / "small.onnx").exists()


@pytest.mark.parametrize("criterion", [None, magnitude])
def test_any_network_by_any_criterion_and_its_own_is_left_as_it_was(criterion):
    torch.manual_seed(0)
    model, x = Mine(), torch.randn(7, 5, 4)
    before = tensors(model)
    small = methods.prune(model, loader(x), keep=0.6, of="parameters", criterion=criterion, examples=5)
    assert small(x).shape == (7, 10)
    assert sum(p.numel() for p in small.parameters()) <= 0.6 * sum(p.numel() for p in model.parameters())
    assert all(torch.equal(tensor, before[name]) for name, tensor in tensors(model).items()) and model.training


def test_widths_are_multiples():
    model, x, _ = network("convnet")
    small = methods.prune(model, loader(x), 0.4, of="parameters", criterion=magnitude, multiple=4, allocation=rms)
    assert all(layer.out_channels % 4 == 0 for layer in small.modules() if isinstance(layer, nn.Conv2d))


def test_the_first_examples_count(monkeypatch):
    seen = []

    def spy(model, groups, evidence, seed):
        seen.append(evidence.inputs)
        return magnitude(model, groups, evidence, seed)

    model, _, _ = network("mlp")
    x = torch.randn(20, 3, 16, 16)
    methods.prune(model, loader(x), criterion=partial(spy), examples=8)
    assert torch.equal(seen[0], x[:8])


def test_the_global_generator_is_as_it_was():
    model, batches = Mine(), [(torch.randn(7, 5, 4), torch.arange(7))]
    state = torch.random.get_rng_state()
    methods.prune(model, batches, keep=0.6)
    assert torch.equal(state, torch.random.get_rng_state())


class Folded(nn.Module):
    """Time in the batch, where no mask of an example can find it."""

    def __init__(self):
        super().__init__()
        self.conv, self.last, self.head = nn.Conv1d(1, 8, 3), nn.Conv1d(8, 8, 1), nn.Linear(8, 10)

    def forward(self, x):
        folded = self.last(self.conv(x.flatten(0, 1).unsqueeze(1)))
        return self.head(folded.mean(dim=2).unflatten(0, x.shape[:2]).mean(dim=1))


class Told(nn.Linear):
    def forward(self, x):
        return {"logits": super().forward(x)}


def test_mistakes_are_told():
    model, x, _ = network("mlp")
    with pytest.raises(ValueError, match="Told must give a tensor with a row for each example"):
        methods.prune(Told(4, 3), loader(torch.randn(6, 4)))
    with pytest.raises(ValueError, match="leave time out of the batch"):
        methods.prune(Folded(), loader(torch.randn(6, 5, 7)))
    with pytest.raises(ValueError, match="examples=0 say nothing"):
        methods.prune(model, loader(x), examples=0)
    with pytest.raises(ValueError, match="the loader has no batches"):
        methods.prune(model, [])
    with pytest.raises(ValueError, match="not a fraction"):
        methods.prune(model, loader(x), keep=2)
