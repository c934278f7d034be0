"""Every model in conf/model obeys the law, masked is removed, and its games in parts are those of the whole network."""

from functools import lru_cache

import pytest
import torch
from omegaconf import OmegaConf
from torch import nn

from benchmarks.list import _built
from benchmarks.mistakes import CONF
from methods import dependencies, surgery
from methods.game import Evidence, Game
from methods.groups import NORMS, Group
from tests.networks import calibrated, difference
from tests.test_list import MODELS, SLOW
from tests.test_parts import coalitions_of, error
from tests.test_surgery import masks


@lru_cache(maxsize=1)
def alive(name: str) -> tuple[nn.Module, torch.Tensor, tuple[Group, ...]]:
    """The network with weights that matter, a batch for it, and its groups."""
    torch.manual_seed(0)
    model, example = _built(OmegaConf.load(CONF / "model" / f"{name}.yaml"))
    x = torch.randint(1, 1000, example.shape) if example.dtype == torch.long else torch.randn(example.shape)
    for parameter in model.parameters():
        if parameter.dim() > 1 and parameter.requires_grad and not parameter[0].std() > 1e-6:
            nn.init.normal_(parameter, std=0.1)  # ConvNeXt's scales and a ViT's head begin at nothing
    has_norms = any(isinstance(layer, NORMS) for layer in model.modules())
    model = calibrated(model, x) if has_norms else model.eval()
    return model, x, dependencies.find(model, x)


EVERY = pytest.mark.parametrize(
    "name", [pytest.param(m, marks=pytest.mark.slow if m in SLOW else ()) for m in MODELS], scope="module"
)


@EVERY
@pytest.mark.filterwarnings("ignore:left whole")
def test_masked_at_the_readers_is_removed(name):
    model, x, found = alive(name)
    kept = {group.name: group.ids[::2] for group in found}
    small, _ = surgery.remove(model, found, kept)
    with torch.no_grad(), surgery.masked(model, found, masks(found, kept)):
        masked = model(x)
    with torch.no_grad():
        assert difference(masked, small(x)) < 1e-4 < difference(masked, model(x))


@EVERY
@pytest.mark.filterwarnings("ignore:left whole", "ignore:every coalition of Recurrent")
def test_worths_are_those_of_plain_forward_passes(name):
    model, x, found = alive(name)

    def first_number(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return outputs.flatten(1)[:, 0]

    for group in (found[0], found[-1]):
        game = Game(model, group, first_number, Evidence(x, torch.zeros(len(x))))
        assert (game.parts is None) == (name in ("lstm", "gru"))
        assert error(game, coalitions_of(group.size)[-5:]) < 1e-4


@EVERY
@pytest.mark.filterwarnings("ignore:left whole")
def test_what_is_saved_is_loaded(name, tmp_path):
    model, x, found = alive(name)
    small, left = surgery.remove(model, found, {group.name: group.ids[::2] for group in found})
    for one, some in ((model, ()), (small, left)):
        surgery.save(tmp_path / "saved.safetensors", one, some)
        again, _ = surgery.load(tmp_path / "saved.safetensors", model, x)
        with torch.no_grad():
            assert torch.equal(again(x), one(x))
