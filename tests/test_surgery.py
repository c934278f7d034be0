"""The law on which all else stands: a network with units masked at the readers is the network without them."""

import subprocess
import sys
from copy import deepcopy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torchvision import models

from methods import dependencies, surgery
from methods.forward import Plain
from methods.game import Evidence, Game
from methods.worth import margin
from tests.networks import ALL, calibrated, difference, network
from tests.sequences import sequence_network


def draw_kept(found, seed: int, share: float) -> dict[str, torch.Tensor]:
    """A random subset of each group, at least one unit; about a third of the groups stay whole."""
    generator = torch.Generator().manual_seed(seed)
    kept = {}
    for group in found:
        stays = torch.rand(len(group.ids), generator=generator) < share
        stays[torch.randint(len(group.ids), (), generator=generator)] = True
        kept[group.name] = group.ids if torch.rand((), generator=generator) < 1 / 3 else group.ids[stays]
    return kept


def masks(found, kept):
    return {g.name: torch.isin(g.ids, kept[g.name]).float() for g in found}


@pytest.mark.parametrize("name", ALL)
@settings(max_examples=3)
@given(seed=st.integers(0, 10**6), share=st.floats(0.05, 0.95))
@torch.no_grad()
def test_masked_at_the_readers_is_removed(name, seed, share):
    model, x, found = network(name)
    kept = draw_kept(found, seed, share)
    small, left = surgery.remove(model, found, kept)
    with surgery.masked(model, found, masks(found, kept)):
        masked = model(x)
    assert difference(masked, small(x)) < 1e-4
    assert difference(masked, surgery.zeroed(model, found, kept)(x)) < 1e-4
    assert all(torch.equal(group.ids, kept[group.name]) for group in left)


@pytest.mark.parametrize("name", ALL)
@torch.no_grad()
def test_the_law_could_fail(name):
    """Every group matters: leaving half of it out changes the output by far more than the law's tolerance."""
    model, x, found = network(name)
    for group in (found[0], found[len(found) // 2], found[-1]):
        with surgery.masked(model, found, {group.name: (group.ids % 2).float()}):
            assert difference(model(x), network(name)[0](x)) == 0.0  # same masks, same output
            masked = model(x)
        assert difference(masked, model(x)) > 1e-3


@pytest.mark.parametrize("name", ["lenet5", "resnet20", "densenet121", "mobilenet_v2"])
@settings(max_examples=3)
@given(seed=st.integers(0, 10**6))
@torch.no_grad()
def test_two_rounds_equal_one_and_ids_stay_those_of_the_dense_network(name, seed):
    model, x, found = network(name)
    first = draw_kept(found, seed, 0.6)
    once, left = surgery.remove(model, found, first)
    second = draw_kept(left, seed + 1, 0.6)
    twice, left = surgery.remove(once, left, second)
    direct, _ = surgery.remove(model, found, second)
    assert torch.equal(twice(x), direct(x))
    assert all(torch.equal(group.ids, second[group.name]) for group in left)
    assert all(set(second[name].tolist()) <= set(first[name].tolist()) for name in first)


@pytest.mark.parametrize("name", ["lenet5", "resnet20", "densenet121", "efficientnet_b0"])
def test_groups_after_surgery_are_those_that_a_new_trace_finds(name):
    model, x, found = network(name)
    small, left = surgery.remove(model, found, draw_kept(found, 1, 0.5))
    traced = dependencies.find(small, x)
    assert [g.name for g in traced] == [g.name for g in left]
    for ours, theirs in zip(left, traced, strict=True):
        assert all(
            a.layer == b.layer and a.side == b.side and torch.equal(a.index, b.index)
            for a, b in zip(ours.slices, theirs.slices, strict=True)
        )


@pytest.mark.parametrize("name", ["convnet", "resnet18"])
def test_the_network_passed_in_is_never_modified(name):
    model, x, _ = network(name)
    model = deepcopy(model).train()
    next(model.parameters()).requires_grad_(False)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    found = dependencies.find(model, x)
    with surgery.masked(model, found, {found[0].name: torch.zeros(found[0].size)}):
        pass
    surgery.remove(model, found, draw_kept(found, 0, 0.5))
    after = model.state_dict()
    assert all(torch.equal(before[key], after[key]) for key in before)
    assert all(module.training for module in model.modules())
    assert [p.requires_grad for p in model.parameters()].count(False) == 1
    assert not any(module._forward_pre_hooks or module._forward_hooks for module in model.modules())


@pytest.mark.parametrize("name", ["resnet20", "lstm", "vit"])
def test_what_is_frozen_stays_frozen(name):
    model, x, found = (network if name in ALL else sequence_network)(name)
    model = deepcopy(model)
    frozen = [name for name, _ in model.named_parameters()][::2]
    for name in frozen:
        model.get_parameter(name).requires_grad_(False)
    small, _ = surgery.remove(model, found, draw_kept(found, 0, 0.5))
    assert [name for name, p in small.named_parameters() if not p.requires_grad] == frozen


def test_a_mask_for_each_example():
    model, x, found = network("lenet5")
    rows = (torch.rand(len(x), found[-3].size) < 0.5).float()
    with surgery.masked(model, found, {found[-3].name: rows}):
        together = model(x)
    for i, row in enumerate(rows):
        with surgery.masked(model, found, {found[-3].name: row}):
            assert difference(together[i : i + 1], model(x[i : i + 1])) < 1e-5


def test_ids_that_are_gone_are_refused():
    model, _, found = network("mlp")
    small, left = surgery.remove(model, found, {found[0].name: torch.tensor([1, 2, 3])})
    with pytest.raises(ValueError, match=r"has no units \[7\]: it has 3 of 128 left"):
        surgery.remove(small, left, {found[0].name: torch.tensor([2, 7])})


def test_grouped_convolutions_and_layer_norms_are_not_players_and_the_law_holds_around_them():
    for build, smallest in ((models.regnet_y_400mf, 0.01), (models.convnext_tiny, 0.01)):
        x = torch.randn(2, 3, 32, 32)
        model = calibrated(build(num_classes=10), x)
        found = dependencies.find(model, x)
        kept = {g.name: g.ids[: max(1, g.size // 2)] for g in found}
        small, _ = surgery.remove(model, found, kept)
        with torch.no_grad(), surgery.masked(model, found, masks(found, kept)):
            assert difference(model(x), small(x)) < 1e-4
        assert sum(p.numel() for p in small.parameters()) < (1 - smallest) * sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize("name", ["squeezenet1_1", "regnet_x_400mf", "googlenet"])
@pytest.mark.filterwarnings("ignore:left whole")
@torch.no_grad()
def test_the_law_and_the_game_hold_on_families_that_no_configuration_names(name):
    torch.manual_seed(0)
    x = torch.randn(4, 3, 64, 64)
    model = calibrated(getattr(models, name)(num_classes=10), x)
    with torch.enable_grad():
        found = dependencies.find(model, x)
    kept = draw_kept(found, 0, 0.5)
    small, _ = surgery.remove(model, found, kept)
    with surgery.masked(model, found, masks(found, kept)):
        masked = model(x)
    assert difference(masked, small(x)) < 1e-4 < difference(masked, model(x))
    game = Game(model, found[-1], margin, Evidence(x, torch.tensor([0, 3, 9, 3])))
    coalitions = torch.eye(game.players)[:3]
    plain = next(Plain(model, [found[-1]], x)(coalitions, 3))
    assert torch.allclose(game(coalitions), torch.stack([margin(o, game.evidence.targets) for o in plain]), atol=1e-4)


def test_what_is_left_whole_is_told():
    model, x = models.regnet_y_400mf(num_classes=10).eval(), torch.randn(2, 3, 32, 32)
    with pytest.warns(UserWarning, match=r"left whole in RegNet: Conv2d trunk_output\.block1\S+ \(its units stay"):
        dependencies.find(model, x)


def test_bare_parameters_are_told():
    class Scaled(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second, self.head = nn.Linear(5, 7), nn.Linear(7, 6), nn.Linear(6, 2)
            self.scale = nn.Parameter(torch.rand(7))

        def forward(self, x):
            return self.head(self.second(self.first(x).relu() * self.scale).relu())

    with pytest.warns(UserWarning, match=r"left whole in Scaled: first \(it meets parameter scale\)"):
        assert [group.name for group in dependencies.find(Scaled(), torch.randn(3, 5))] == ["second"]


@pytest.mark.parametrize(("family", "name"), [("shufflenet_v2_x0_5", "ShuffleNetV2"), ("swin_t", "SwinTransformer")])
def test_channels_that_cannot_be_followed_are_told_in_one_line(family, name):
    with pytest.raises(ValueError, match=f"Torch-Pruning cannot follow the channels of {name}"):
        dependencies.find(models.get_model(family, num_classes=10).eval(), torch.randn(2, 3, 64, 64))


def test_nothing_to_prune():
    with pytest.raises(ValueError, match="Linear has no units to prune"):
        dependencies.find(nn.Linear(4, 2), torch.randn(1, 4))


RELOAD = """
import sys, torch
from methods import surgery
from tests.networks import network
model, x, _ = network(sys.argv[2])
for parameter in model.parameters():
    torch.nn.init.zeros_(parameter)
small, left = surgery.load(sys.argv[1], model, x)
torch.save({"output": small(x).detach(), "ids": {g.name: g.ids for g in left}}, sys.argv[1] + ".output")
"""


@pytest.mark.parametrize("name", ["resnet20", pytest.param("mobilenet_v2", marks=pytest.mark.slow)])
def test_saved_and_loaded_in_a_fresh_process_bit_equal(name, tmp_path):
    model, x, found = network(name)
    small, left = surgery.remove(model, found, draw_kept(found, 3, 0.4))
    path = tmp_path / "small.safetensors"
    surgery.save(path, small, left)
    subprocess.run([sys.executable, "-c", "import torch; torch.set_num_threads(1)\n" + RELOAD, path, name], check=True)
    loaded = torch.load(f"{path}.output")
    assert torch.equal(loaded["output"], small(x))
    assert all(torch.equal(loaded["ids"][group.name], group.ids) for group in left)


@pytest.mark.parametrize("damage", ["cut", "noise", "other"])
def test_a_broken_checkpoint_is_told_in_one_line(damage, tmp_path):
    model, x, found = network("convnet")
    path = tmp_path / "broken.safetensors"
    surgery.save(path, network("lenet5")[0] if damage == "other" else model, found if damage != "other" else ())
    content = path.read_bytes()
    path.write_bytes({"cut": content[: len(content) // 2], "noise": b"noise" * 100, "other": content}[damage])
    with pytest.raises(
        ValueError, match=r"^.*broken\.safetensors is not a checkpoint of this Sequential .*: delete it.*$"
    ) as told:
        surgery.load(path, model, x)
    assert "\n" not in str(told.value)
