"""The loss around a network: known where the loss is known, and the same for the same seed."""

import json

import numpy as np
import pytest
import torch
from torch import nn

from benchmarks import landscape_figure
from benchmarks.data import Data, InMemory
from benchmarks.landscape import landscape
from benchmarks.tasks import Supervised, classification, cross_entropy, reconstruction, squared_error
from tests.test_pipeline import record_of

OPTIONS = {"examples": 32, "radius": 0.5, "line": 5, "plane": 3}
LINEAR = Supervised("explained_variance", squared_error, reconstruction)


def regression(seed: int = 0) -> tuple[nn.Module, InMemory]:
    torch.manual_seed(seed)
    x = torch.randn(32, 6)
    part = InMemory(x, torch.randn(32, 4), lambda inputs: inputs)
    return nn.Linear(6, 4), part


def data_of(part: InMemory) -> Data:
    return Data(part, part, part, classes=4, shape=(6,))


def examples(part: InMemory) -> Data:
    """A part that draws all its examples, in order."""

    class Whole(InMemory):
        def draw(self, examples, seed):
            return self.inputs, self.labels

    return data_of(Whole(part.inputs, part.labels, part.view))


def test_the_sharpest_curvature_of_least_squares_is_known():
    """The Hessian of mean squared error in a linear layer: 2/(N·outputs) XᵀX, X with a column of ones."""
    model, part = regression()
    found = landscape({"it": model}, LINEAR, examples(part), 0, **OPTIONS)["it"]["top_eigenvalue"]
    x = torch.cat([part.inputs, torch.ones(32, 1)], dim=1).double()
    assert found == pytest.approx(float(torch.linalg.eigvalsh(2 / (32 * 4) * x.T @ x)[-1]), rel=1e-3)


def test_slices_of_least_squares_are_parabolas_through_the_network():
    model, part = regression()
    found = landscape({"it": model}, LINEAR, examples(part), 0, **{**OPTIONS, "line": 9})["it"]
    line, steps = np.array(found["line"]), np.linspace(-0.5, 0.5, 9)
    assert np.polyval(np.polyfit(steps, line, 2), steps) == pytest.approx(line, rel=1e-3)
    with torch.no_grad():
        loss = reconstruction(model(part.inputs), part.labels)["loss"].mean()
    assert line[4] == found["plane"][1][1] == pytest.approx(float(loss), rel=1e-4)
    assert found["plane"][1] == pytest.approx([line[0], line[4], line[8]])


def test_a_network_of_another_scale_has_the_same_landscape():
    """Li et al. 2018, section 4: filters ten times as long before a scale-free normalisation compute the same."""
    torch.manual_seed(0)
    part = InMemory(torch.randn(32, 1, 6, 6), torch.arange(32) % 3, lambda inputs: inputs)
    model, longer = (
        nn.Sequential(nn.Conv2d(1, 8, 3, bias=False), nn.BatchNorm2d(8, eps=1e-12), nn.Flatten(), nn.Linear(128, 3))
        for _ in range(2)
    )
    model[1](model[0](part.inputs))
    with torch.no_grad():
        model[1].running_var.fill_(1)
    longer.load_state_dict(model.state_dict())
    with torch.no_grad():
        longer[0].weight.mul_(10)
        longer[1].running_mean.mul_(10)
        longer[1].running_var.mul_(100)
    task = Supervised("accuracy", cross_entropy, classification)
    found = landscape({"one": model, "other": longer}, task, data_of(part), 0, **OPTIONS)
    assert found["one"]["line"] == pytest.approx(found["other"]["line"], rel=1e-3)
    assert found["one"]["top_eigenvalue"] != pytest.approx(found["other"]["top_eigenvalue"], rel=0.01)


def test_it_is_in_the_record_and_drawn(tmp_path):
    options = ["analysis=landscape", *(f"analysis.landscape.{key}={value}" for key, value in OPTIONS.items())]
    record = record_of(tmp_path, "method=magnitude", "model=lenet5", "dataset.size=16", "keep=0.3", *options)
    json.dumps(record, allow_nan=False)
    found = record["analysis"]["landscape"]
    middle = {name: found[name]["line"][2] for name in ("dense", "pruned", "recovered")}
    assert len(set(middle.values())) == 3
    record["choices"]["dataset"] = "digits"
    figure = landscape_figure.landscapes(landscape_figure.analysed([record]))
    assert [axes.get_title().split(":")[0] for axes in figure.axes[1:4]] == ["dense", "pruned", "recovered"]


def test_a_task_without_examples_is_told_before_training(tmp_path):
    with pytest.raises(ValueError, match="analysis=landscape needs a loss of examples"):
        record_of(tmp_path, "task=q_learning", "method=magnitude", "analysis=landscape")
    assert not (tmp_path / "cache" / "dense").exists()
