"""Every task trains, prunes and is judged by its own metric; metrics are means over examples, whatever the batches."""

import math
from collections.abc import Iterator
from itertools import product

import pytest
import torch
from torch import nn
from torch.distributions import Normal, kl_divergence
from torch.nn import functional as F

from benchmarks.data import InMemory
from benchmarks.tasks import Supervised, classification, cross_entropy, evidence_bound, reconstruction
from methods import worth
from methods.criterion import Impossible
from tests.test_pipeline import EVERY_METHOD, record_of
from tests.test_text import sentences

TASKS = {
    "reconstruction": ("autoencoder",),
    "variational": ("vae",),
    "q_learning": ("dqn",),
    "q_learning_episodes": ("dqn",),
    "text_classification": ("lstm", "gru", "text_transformer"),
    "language_model": ("gpt",),
}
NO_DERIVATIVE, NO_RULE = "needs a worth with a derivative", "attributions have no rule for what a recurrent layer reads"
ATTRIBUTIONS = ("integrated_gradients", "deeplift", "conductance")
IMPOSSIBLE = {
    ("", "bn_scale"): "bn_scale finds no BatchNorm",  # none of these networks has one
    **{("q_learning_episodes", method): NO_DERIVATIVE for method in ("taylor", "fisher", "snip", "grasp")},
    ("q_learning_episodes", "synflow"): "needs outputs with a derivative",
    **{("q_learning_episodes", method): "need a network that torch.fx can trace" for method in ATTRIBUTIONS},
    **{(model, method): NO_RULE for model in ("lstm", "gru") for method in ATTRIBUTIONS},
    **{(model, "conductance"): "tokens have none" for model in ("text_transformer", "gpt")},
}
SUPERVISED = Supervised("accuracy", cross_entropy, classification)


class Exact(nn.Module):
    """Puts out the label that is written in the image."""

    def forward(self, x):
        return 9.0 * F.one_hot(x[:, 0, 0, 0].long(), 7).float()


def part(examples: int) -> InMemory:
    labels = torch.arange(examples) % 7
    pixels = labels.reshape(-1, 1, 1, 1).float().expand(-1, 1, 2, 2).contiguous()
    return InMemory(pixels, labels, lambda inputs: inputs)


@pytest.mark.parametrize("batch_size", [1, 7, 64, 100, 1000])
def test_a_perfect_classifier_scores_one_whatever_the_last_batch(batch_size):
    measured = SUPERVISED.evaluate(Exact(), part(100), batch_size)
    assert measured["accuracy"] == measured["top5"] == 1
    assert measured["loss"] == pytest.approx(float(F.cross_entropy(9 * torch.eye(7), torch.arange(7))), rel=1e-4)


def test_accuracy_and_top5_count_examples():
    class Always(nn.Module):
        def forward(self, x):
            return torch.tensor([[6.0, 5, 4, 3, 2, 1, 0]]).expand(len(x), -1)

    measured = SUPERVISED.evaluate(Always(), part(100), 33)
    labels = part(100).labels
    assert measured["accuracy"] == pytest.approx((labels == 0).float().mean())
    assert measured["top5"] == pytest.approx((labels < 5).float().mean())


def test_an_example_with_many_targets_counts_once():
    torch.manual_seed(0)
    outputs, targets = torch.randn(6, 5, 4), torch.randint(4, (6, 5))
    flat, metrics = classification(outputs.flatten(0, 1), targets.flatten()), classification(outputs, targets)
    for name, values in metrics.items():
        assert values.shape == (6,) and torch.allclose(values, flat[name].reshape(6, 5).mean(1))
    assert torch.allclose(metrics["loss"].mean(), cross_entropy(outputs, targets))


@pytest.mark.parametrize("of", [worth.accuracy, worth.negative_cross_entropy, worth.margin])
def test_a_worth_of_many_targets_is_their_mean(of):
    torch.manual_seed(0)
    outputs, targets = torch.randn(6, 5, 4), torch.randint(4, (6, 5))
    flat = of(outputs.flatten(0, 1), targets.flatten())
    assert torch.allclose(of(outputs, targets), flat.reshape(6, 5).mean(1))
    assert torch.equal(of(outputs[:, 0], targets[:, 0]), flat.reshape(6, 5)[:, 0])


def test_a_reconstruction_explains_all_or_nothing():
    targets = torch.randn(4000, 3, 2, 2, generator=torch.Generator().manual_seed(0))
    assert reconstruction(targets, targets)["explained_variance"].tolist() == [1] * 4000
    assert float(reconstruction(torch.zeros_like(targets), targets)["explained_variance"].mean()) == pytest.approx(
        0, abs=0.05
    )
    assert torch.equal(
        worth.negative_squared_error(targets * 0, targets), -reconstruction(targets * 0, targets)["loss"]
    )


def test_the_evidence_bound_is_that_of_torch_distributions():
    torch.manual_seed(0)
    x, reconstructed, mean, log_variance = (torch.randn(5, size) for size in (12, 12, 3, 3))
    code, prior = Normal(mean, (0.5 * log_variance).exp()), Normal(torch.zeros(3), torch.ones(3))
    constant = 0.5 * math.log(2 * math.pi)
    likelihood = Normal(reconstructed, 1.0).log_prob(x).sum() + constant * x.numel()
    bound = likelihood - 2 * kl_divergence(code, prior).sum()
    assert evidence_bound((reconstructed, mean, log_variance), x, beta=2) == pytest.approx(
        -float(bound) / x.numel(), rel=1e-5
    )


@pytest.fixture(scope="session")
def texts(tmp_path_factory):
    """A folder with sentences and a running text."""
    folder = tmp_path_factory.mktemp("texts")
    sentences(80, 0).to_parquet(folder / "train.parquet")
    sentences(40, 1).to_parquet(folder / "test.parquet")
    (folder / "input.txt").write_text("".join(sentences(200, 2)["text"]))
    return folder


QUICK = ("shapley", "taylor")  # by coalitions, by gradients
KINDS = ("lstm", "gpt", "vae")  # recurrence, attention, several outputs: other kinds of criteria too


def _pairs() -> Iterator:
    """All of them; slow are those of a kind that others show."""
    for (task, models), method in product(TASKS.items(), EVERY_METHOD):
        for model in models:
            quick = method in QUICK or (method in ("magnitude", "snip", "apoz") and model in KINDS)
            yield pytest.param(task, model, method, marks=() if quick else pytest.mark.slow)


@pytest.mark.parametrize(("task", "model", "method"), _pairs())
@pytest.mark.filterwarnings("ignore:every coalition of")
def test_every_task_is_pruned_by_any_method(task, model, method, texts, tmp_path):
    text = [f"dataset.root={texts}", "dataset.length=8"] if model in (*TASKS["text_classification"], "gpt") else []
    epochs = ["training.recovery.epochs=4"] if method == "gradual" else []  # or it has no step to remove at
    asked = [f"task={task}", f"model={model}", f"method={method}", "budget.of=macs", *text, *epochs]
    if reason := IMPOSSIBLE.get((task, method)) or IMPOSSIBLE.get((model, method)) or IMPOSSIBLE.get(("", method)):
        with pytest.raises(Impossible, match=reason):
            record_of(tmp_path, *asked)
        return
    record = record_of(tmp_path, *asked)
    metric = record["metric"]
    assert record["choices"]["task"] == task and record["config"]["task"]["metric"] == metric
    assert record["pruned"]["macs"] == pytest.approx(record["budget"]["achieved"] * record["dense"]["macs"])
    assert record["pruned"]["macs"] <= 0.5 * record["dense"]["macs"] < record["pruned"]["macs"] * 1.6
    assert record["dense"][metric] <= 1 and record["rounds"][-1]["after"] <= 1
    assert record["coverage"] > 0.5


def test_a_model_that_does_not_fit_the_data_is_told_before_training(tmp_path):
    with pytest.raises(ValueError, match="dataset=digits has no vocabulary, which this model is built for"):
        record_of(tmp_path, "model=lstm", "method=magnitude")
