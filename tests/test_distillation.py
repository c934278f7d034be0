"""Recovery by a teacher: Hinton's loss, on and off in one sweep, for tasks whose outputs can be imitated."""

import copy

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.distributions import Categorical, kl_divergence

from benchmarks.distillation import Teacher, regression, softened
from benchmarks.tasks import Supervised, classification, cross_entropy
from tests.networks import network
from tests.test_pipeline import record_of
from tests.test_records import run_id

TEMPERATURE = st.floats(0.5, 20)


@given(st.integers(0, 99), TEMPERATURE)
def test_it_is_the_divergence_of_softened_outputs(seed, temperature):
    student, teacher = torch.randn(2, 6, 5, generator=torch.Generator().manual_seed(seed))
    apart = kl_divergence(Categorical(logits=teacher / temperature), Categorical(logits=student / temperature))
    assert softened(student, teacher, temperature) == pytest.approx(float(temperature**2 * apart.mean()), abs=1e-4)


@given(st.integers(0, 99), TEMPERATURE)
def test_nothing_sets_a_copy_apart(seed, temperature):
    outputs = torch.randn(4, 3, 5, generator=torch.Generator().manual_seed(seed))
    assert abs(softened(outputs, outputs, temperature)) < 1e-4 * temperature**2
    assert regression(outputs, outputs, temperature) == 0


def test_a_hot_teacher_compares_logits():
    """Hinton et al. 2015, section 2.1: with zero-mean logits, half of the mean squared error per class."""
    student, teacher = (x - x.mean(dim=1, keepdim=True) for x in torch.randn(2, 64, 5).double())
    expected = 0.5 * (student - teacher).square().mean()
    assert softened(student, teacher, 1e3) == pytest.approx(float(expected), rel=1e-2)


def test_the_loss_is_a_weighted_mean_and_the_teacher_stays_as_it_is():
    model, x, _ = network("lenet5")
    teacher = copy.deepcopy(model).train()
    before = copy.deepcopy(teacher.state_dict())
    y = torch.zeros(len(x), dtype=torch.long)
    task = Supervised("accuracy", cross_entropy, classification, imitate=softened)
    student = torch.nn.Sequential(model, torch.nn.Linear(10, 10))
    plain = task.learn(student, x, y)
    both = task.taught(Teacher(teacher, 0.75, 4.0)).learn(student, x, y)
    apart = softened(student(x), teacher.eval()(x), 4.0)
    assert both.item() == pytest.approx(0.25 * plain.item() + 0.75 * apart.item(), rel=1e-5)
    both.backward()
    assert all(parameter.grad is None for parameter in teacher.parameters())
    assert all(torch.equal(tensor, before[name]) for name, tensor in teacher.state_dict().items())


def test_on_and_off_are_two_runs_and_what_is_off_counts_for_nothing():
    on, off = "training.distillation.weight=0.9", "training.distillation.temperature=2"
    assert run_id(on) != run_id() == run_id(off) and run_id(on, off) != run_id(on)


def test_it_changes_recovery_and_nothing_before(tmp_path):
    plain, taught = (
        record_of(tmp_path, "method=magnitude", "model=lenet5", "dataset.size=16", f"training.distillation.weight={w}")
        for w in (0, 0.9)
    )
    assert (
        taught["dense"]["loss"] == plain["dense"]["loss"] and taught["rounds"][0]["kept"] == plain["rounds"][0]["kept"]
    )
    assert taught["rounds"][0]["before"] == plain["rounds"][0]["before"]
    assert taught["pruned"]["loss"] != plain["pruned"]["loss"]


def test_an_autoencoder_imitates_reconstructions(tmp_path):
    overrides = ["task=reconstruction", "method=magnitude", "training.distillation.weight=0.5"]
    assert record_of(tmp_path, *overrides)["pruned"]["loss"] > 0


@pytest.mark.parametrize(
    ("overrides", "error"),
    [
        (["task=q_learning"], "no distillation"),
        (["task=variational"], "cannot be distilled"),
        (["training.distillation.temperature=0"], "temperature above 0"),
        (["training.distillation.weight=2"], "weight between 0"),
    ],
)
def test_what_cannot_be_taught_is_told_before_training(overrides, error, tmp_path):
    with pytest.raises(ValueError, match=error):
        record_of(tmp_path, "method=magnitude", "training.distillation.weight=0.5", *overrides)
    assert not (tmp_path / "cache" / "dense").exists()
