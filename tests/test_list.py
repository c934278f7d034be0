"""Everything that can be chosen is listed, with a line that says what it is."""

from collections.abc import Iterator

import pytest
from hydra.utils import get_object
from omegaconf import OmegaConf

from benchmarks.list import axes, choices, coverage, main
from benchmarks.mistakes import CONF


def test_every_choice_has_a_line(capsys):
    assert {"method", "model", "dataset", "task", "estimator", "experiment"} <= set(axes())
    for axis in axes():
        assert all(len(line) > 10 for _, line in choices(axis)), axis
    assert main([]) == 0
    said = capsys.readouterr().out
    assert all(f"  {path.stem} " in said for path in CONF.glob("*/*.yaml"))


def test_an_axis_can_be_chosen(capsys):
    assert main(["worth"]) == 0
    assert "negative_cross_entropy" in (said := capsys.readouterr().out) and "fpgm" not in said
    assert main(["worths"]) == 2
    assert "'worths' is no axis: choose aggregate, allocation" in capsys.readouterr().err


SLOW = ("vit_b_16", "vgg16_bn", "vgg11_bn", "densenet121", "convnext_tiny", "resnet50", "efficientnet_b0")
MODELS = sorted(path.stem for path in (CONF / "model").glob("*.yaml"))


def of_every_model(slow: tuple[str, ...] = SLOW) -> pytest.MarkDecorator:
    """A test of each model in conf, by its name, one model after the other."""
    names = [pytest.param(name, marks=pytest.mark.slow if name in slow else ()) for name in MODELS]
    return pytest.mark.parametrize("name", names, scope="module")


@of_every_model()
@pytest.mark.filterwarnings("ignore:left whole")
def test_every_model_is_covered(name):
    share = float(coverage(name).split()[-2].rstrip("%"))
    embeds = name in ("lstm", "gru", "text_transformer", "gpt")  # whose embeddings are no units
    assert share > (25 if embeds else 80)
    assert OmegaConf.load(CONF / "model" / f"{name}.yaml").network._partial_


def targets(node) -> Iterator[str]:
    """All that configuration files name."""
    if isinstance(node, dict):
        yield from (value for key, value in node.items() if key == "_target_")
        yield from (target for value in node.values() for target in targets(value))


@pytest.mark.parametrize("path", sorted(CONF.rglob("*.yaml")), ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_what_configuration_names_can_be_found(path):
    if path.stem == "executorch":
        pytest.importorskip("executorch", reason="the extra `edge` is not installed")
    for target in targets(OmegaConf.to_container(OmegaConf.load(path), resolve=False)):
        assert callable(get_object(target))
