"""Digits and torchvision's sets as their configuration promises, and bad input as one clear line."""

import hashlib
import pickle
import struct

import numpy
import numpy as np
import pytest
import scipy.io
import torch
import torchvision.datasets as official

from tests.datasets import error_of, load, random_pixels

UNREACHABLE = "http://127.0.0.1:9/"


def test_digits_are_divided_into_the_same_stratified_parts_every_time():
    data = load("digits")
    parts = data.train, data.validation, data.test
    assert (data.classes, data.shape) == (10, (1, 8, 8)) and [len(part) for part in parts] == [1294, 144, 359]
    assert torch.equal(load("digits", split_seed=1).test.inputs, data.test.inputs)
    assert not torch.equal(load("digits", split_seed=1).validation.inputs, data.validation.inputs)
    pixels = torch.cat([part.inputs for part in parts]).sum()
    assert pixels.item() == pytest.approx(561718 / 16)  # all of the images, none twice
    assert all(part.labels.bincount().min() > 0.08 * len(part) for part in parts)


def test_digits_are_normalised_also_as_colour_and_larger():
    x, _ = load("digits").train.draw(2000, seed=0)
    assert abs(x.mean()) < 0.01 and abs(x.std() - 1) < 0.01
    data = load("digits", channels=3, size=16, limit=100)
    assert data.shape == (3, 16, 16) and len(data.train) == 100
    x, _ = data.train.draw(2000, seed=0)
    assert x.shape == (100, 3, 16, 16) and abs(x.mean()) < 0.1 and torch.equal(x[:, 0], x[:, 2])


@pytest.mark.parametrize(("name", "folder_name"), [("mnist", "MNIST"), ("fashion_mnist", "FashionMNIST")])
def test_grey_torchvision_files_are_read(tmp_path, name, folder_name):
    raw = tmp_path / folder_name / "raw"
    raw.mkdir(parents=True)
    written = {}
    for part, count in (("train", 40), ("t10k", 10)):
        written[part] = random_pixels(count, 28, 28)
        header = struct.pack(">IIII", 0x803, count, 28, 28)
        (raw / f"{part}-images-idx3-ubyte").write_bytes(header + written[part].numpy().tobytes())
        labels = np.arange(count, dtype=np.uint8) % 10
        (raw / f"{part}-labels-idx1-ubyte").write_bytes(struct.pack(">II", 0x801, count) + labels.tobytes())
    data = load(name, root=str(tmp_path))
    assert (data.classes, data.shape, len(data.train), len(data.validation)) == (10, (1, 28, 28), 36, 4)
    assert torch.equal(data.test.inputs[:, 0], written["t10k"])
    assert data.test.labels.tolist() == list(range(10))


@pytest.mark.parametrize(("name", "key"), [("cifar10", "labels"), ("cifar100", "fine_labels")])
def test_colour_torchvision_files_are_read_channels_first(tmp_path, monkeypatch, name, key):
    kind = getattr(official, name.upper())
    pixels, labels = random_pixels(20, 3, 32, 32), [0, 1] * 10
    contents = {
        "part": {"data": pixels.flatten(1).numpy(), key: labels},
        "names": {kind.meta["key"]: ["cat", "dog"]},
    }
    (tmp_path / kind.base_folder).mkdir()
    sums = {}
    for file, content in contents.items():
        (tmp_path / kind.base_folder / file).write_bytes(pickle.dumps(content))
        sums[file] = hashlib.md5(pickle.dumps(content)).hexdigest()
    monkeypatch.setattr(kind, "train_list", [["part", sums["part"]]])
    monkeypatch.setattr(kind, "test_list", [["part", sums["part"]]])
    monkeypatch.setattr(kind, "meta", {**kind.meta, "filename": "names", "md5": sums["names"]})
    data = load(name, root=str(tmp_path))
    assert torch.equal(data.test.inputs, pixels) and data.test.labels.tolist() == labels
    assert data.train.augment is not None and data.validation.augment is None and data.test.augment is None


def test_svhn_and_stl10_are_read(tmp_path, monkeypatch):
    pixels, labels = random_pixels(6, 3, 32, 32), [0, 1, 0, 1, 1, 0]
    for part in ("train", "test"):
        content = {"X": pixels.permute(2, 3, 1, 0).numpy(), "y": numpy.array(labels)[:, None]}
        scipy.io.savemat(tmp_path / f"{part}_32x32.mat", content)
    monkeypatch.setattr(official.SVHN, "download", lambda self: None)
    monkeypatch.setattr(official.SVHN, "_check_integrity", lambda self: True)
    data = load("svhn", root=str(tmp_path))
    assert torch.equal(data.test.inputs, pixels) and data.test.labels.tolist() == labels
    folder = tmp_path / official.STL10.base_folder
    folder.mkdir()
    large = random_pixels(6, 3, 96, 96)
    for part in ("train", "test"):
        large.transpose(2, 3).contiguous().numpy().tofile(folder / f"{part}_X.bin")
        (numpy.array(labels, dtype=numpy.uint8) + 1).tofile(folder / f"{part}_y.bin")
    (folder / "class_names.txt").write_text("cat\ndog\n")
    monkeypatch.setattr(official.STL10, "download", lambda self: None)
    monkeypatch.setattr(official.STL10, "_check_integrity", lambda self: True)
    data = load("stl10", root=str(tmp_path))
    assert torch.equal(data.test.inputs, large) and data.test.labels.tolist() == labels and data.shape == (3, 96, 96)


@pytest.mark.parametrize("name", ["mnist", "cifar10"])
def test_without_data_and_network_the_root_and_the_remedy_are_named(tmp_path, monkeypatch, name):
    monkeypatch.setattr(official.MNIST, "mirrors", [UNREACHABLE])
    monkeypatch.setattr(official.CIFAR10, "url", UNREACHABLE)
    message = error_of(name, root=str(tmp_path / "nowhere"))
    assert name.upper() in message and "nowhere" in message and "dataset.root=" in message


def test_a_truncated_download_is_reported(tmp_path, monkeypatch):
    monkeypatch.setattr(official.MNIST, "mirrors", [UNREACHABLE])
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for part in ("train", "t10k"):
        for file in ("images-idx3-ubyte", "labels-idx1-ubyte"):
            (raw / f"{part}-{file}").write_bytes(struct.pack(">IIII", 0x803, 9, 28, 28))
    assert "no usable MNIST" in error_of("mnist", root=str(tmp_path))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"channels": 2}, "channels=2"),
        ({"size": 0}, "size=0"),
        ({"validation": 0.0}, "0 < validation <= 0.5"),
        ({"validation": 0.9}, "0 < validation <= 0.5"),
        ({"limit": 0}, "limit=0"),
        ({"normalize": {"mean": [0.1, 0.2], "std": [1.0]}}, "normalize.mean"),
        ({"normalize": {"mean": [0.1], "std": [0.0]}}, "normalize.std"),
    ],
)
def test_an_impossible_option_is_named(options, words):
    assert words in error_of("digits", **options)
