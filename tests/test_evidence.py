"""What the committed records read can be had by everybody: the same pixels, the same weights."""

import hashlib
from types import SimpleNamespace

import pytest
import torch

from benchmarks import evidence
from tests.datasets import load, random_pixels


@pytest.fixture
def cifar10(monkeypatch):
    """A CIFAR-10 of 40 images for training and 30 for testing, of which the subset is the first 20 and 10."""
    parts = {True: random_pixels(40, 32, 32, 3), False: random_pixels(30, 32, 32, 3)}

    def dataset(root, train, download):
        assert download
        return SimpleNamespace(data=parts[train].numpy(), targets=[i % 10 for i in range(len(parts[train]))])

    monkeypatch.setattr(evidence, "CIFAR10", dataset)
    monkeypatch.setattr(evidence, "SUBSET", {"train": 20, "test": 10})
    return parts


def test_the_subset_has_the_pixels_of_the_first_images(cifar10, tmp_path):
    folder = evidence.subset(tmp_path)
    data = load("parquet", root=str(folder), validation=0.5, augment=None)
    assert len(data.train) + len(data.validation) == 20 and data.test.labels.tolist() == list(range(10))
    shown, _ = next(data.test.batches([torch.arange(10)]))
    scale = [torch.tensor(numbers)[:, None, None] for numbers in ([0.229, 0.224, 0.225], [0.485, 0.456, 0.406])]
    pixels = (255 * (shown * scale[0] + scale[1])).round().byte()
    assert torch.equal(pixels, cifar10[False][:10].permute(0, 3, 1, 2))
    cifar10.clear()  # what is there is not asked for again
    assert evidence.subset(tmp_path) == folder


def test_weights_are_those_that_their_name_tells(monkeypatch, tmp_path):
    source = tmp_path / "pretrained_models"
    source.mkdir()
    name = f"resnet20-{hashlib.sha256(b'weights').hexdigest()[:8]}.th"
    (source / name).write_bytes(b"weights")
    (source / "resnet56-00000000.th").write_bytes(b"others")
    monkeypatch.setattr(evidence, "REPOSITORY", f"{tmp_path.as_uri()}/")
    assert evidence.weights(tmp_path / "data", name).read_bytes() == b"weights"
    with pytest.raises(RuntimeError, match="invalid hash"):
        evidence.weights(tmp_path / "data", "resnet56-00000000.th")
    assert [path.name for path in (tmp_path / "data").rglob("*.th")] == [name]


def test_without_a_network_there_is_one_line(cifar10, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(evidence, "REPOSITORY", f"{(tmp_path / 'nowhere').as_uri()}/")
    assert evidence.main(tmp_path) == 2
    said = capsys.readouterr()
    assert said.err.startswith("error: no download to ") and said.err.count("\n") == 1 and not said.out
