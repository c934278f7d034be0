"""Everything that can be chosen is listed, with a line that says what it is."""

import pytest
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


@pytest.mark.parametrize("name", [pytest.param(m, marks=pytest.mark.slow if m in SLOW else ()) for m in MODELS])
@pytest.mark.filterwarnings("ignore:left whole")
def test_every_model_is_covered(name):
    share = float(coverage(name).split()[-2].rstrip("%"))
    embeds = name in ("lstm", "gru", "text_transformer", "gpt")  # whose embeddings are no units
    assert share > (25 if embeds else 80)
    assert OmegaConf.load(CONF / "model" / f"{name}.yaml").network._partial_
