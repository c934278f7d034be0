"""Every model in conf/model obeys the law, masked is removed; its games in parts are those of the whole network."""

import re
from collections.abc import Callable
from functools import lru_cache

import pytest
import torch
from hydra import compose, initialize
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from torch import nn

from benchmarks import schema
from benchmarks.list import _built
from benchmarks.mistakes import CONF
from benchmarks.rehearsal import _pair
from methods import dependencies, surgery
from methods.criterion import Impossible
from methods.game import Evidence, Game
from methods.groups import NORMS, Group
from tests.networks import calibrated, difference
from tests.test_list import SLOW, of_every_model
from tests.test_parts import coalitions_of, error
from tests.test_pipeline import EVERY_METHOD
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


def first_number(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """A worth that any output has."""
    outputs = outputs[0] if isinstance(outputs, tuple) else outputs
    return outputs.flatten(1)[:, 0]


@lru_cache
def criteria() -> dict[str, Callable]:
    """That of every method in conf, of the fewest evaluations."""
    schema.register()
    with initialize(config_path="../conf", version_base="1.3"):
        return {name: _criterion(compose("run", [f"method={name}", "estimator.samples=1"])) for name in EVERY_METHOD}


def _criterion(config: DictConfig) -> Callable:
    OmegaConf.update(config, "worth", {"_target_": "tests.test_models.first_number", "_partial_": True}, merge=False)
    return instantiate(config.method.criterion)


@of_every_model()
@pytest.mark.filterwarnings("ignore:left whole")
def test_masked_at_the_readers_is_removed(name):
    model, x, found = alive(name)
    kept = {group.name: group.ids[::2] for group in found}
    small, _ = surgery.remove(model, found, kept)
    with torch.no_grad(), surgery.masked(model, found, masks(found, kept)):
        masked = model(x)
    with torch.no_grad():
        assert difference(masked, small(x)) < 1e-4 < difference(masked, model(x))


@of_every_model()
@pytest.mark.filterwarnings("ignore:left whole", "ignore:every coalition of Recurrent")
def test_worths_are_those_of_plain_forward_passes(name):
    model, x, found = alive(name)
    for group in (found[0], found[-1]):
        game = Game(model, group, first_number, Evidence(x, torch.zeros(len(x))))
        assert (game.parts is None) == (name in ("lstm", "gru"))
        assert error(game, coalitions_of(group.size)[-5:]) < 1e-4


@of_every_model()
@pytest.mark.filterwarnings("ignore:left whole")
def test_what_is_saved_is_loaded(name, tmp_path):
    model, x, found = alive(name)
    small, left = surgery.remove(model, found, {group.name: group.ids[::2] for group in found})
    for one, some in ((model, ()), (small, left)):
        surgery.save(tmp_path / "saved.safetensors", one, some)
        again, _ = surgery.load(tmp_path / "saved.safetensors", model, x)
        with torch.no_grad():
            assert torch.equal(again(x), one(x))


DEEP = ("cifar_resnet32", "cifar_resnet56", "densenet40", "vgg11_bn_32", "vgg16_bn_32")  # smaller ones are alike
REASONS = "finds no BatchNorm|no rule for what a recurrent layer reads|tokens have none"


@of_every_model(slow=(*SLOW, *DEEP))
@pytest.mark.parametrize("method", EVERY_METHOD)
@pytest.mark.filterwarnings("ignore:left whole", "ignore:every coalition of Recurrent")
def test_every_criterion_scores_two_units_of_every_model(name, method):
    """Or it says why it cannot."""
    model, x, found = alive(name)
    few = {group.name: _pair(group) for group in (found[0], found[-1])}
    try:
        scores = criteria()[method](model, [*few.values()], Evidence(x, torch.zeros(len(x))), 0).by_group
    except Impossible as impossible:
        assert re.search(REASONS, str(impossible))
    else:
        assert {group: values.isfinite().sum() for group, values in scores.items()} == dict.fromkeys(few, 2)
