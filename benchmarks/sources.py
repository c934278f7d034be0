"""Where images come from: each function is what a file in conf/dataset names, and returns a Data."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from sklearn.datasets import load_digits
from torch import Tensor
from torchvision.datasets import ImageFolder, VisionDataset
from torchvision.transforms import v2

from benchmarks.data import Data, InMemory, Streamed
from benchmarks.images import Images, View, center_crop, view
from benchmarks.parquet import read_images
from benchmarks.sampling import classes_of, divide, generator, split

Device = str | torch.device
ANNOTATIONS = "val_annotations.txt"
Normalize = dict[str, Sequence[float]]


def digits(*, device: Device, **common: Any) -> Data:
    """1,797 handwritten digits of 8×8 pixels, part of scikit-learn; a stratified fifth is the test part."""
    images, target = load_digits(return_X_y=True)
    pixels = torch.tensor(images / 16, dtype=torch.float32).view(-1, 1, 8, 8)
    labels = torch.tensor(target)
    # One seed for ever: the test part belongs to the data set, not to the run.
    rest, test = split(labels, 0.2, generator("digits", 0))
    return in_memory(Images(pixels[rest], labels[rest]), Images(pixels[test], labels[test]), device, **common)


def torchvision_set(
    dataset: type[VisionDataset],
    root: str = "data",
    parts: Sequence[dict[str, Any]] = ({"train": True}, {"train": False}),
    *,
    device: Device,
    **common: Any,
) -> Data:
    """MNIST, CIFAR10, SVHN and their like of torchvision, downloaded to root when missing there.

    `parts` is what its training and its test part are asked for with.

    Raises FileNotFoundError when root lacks the data and they cannot be downloaded.
    """
    try:
        train, test = (dataset(root, download=True, **part) for part in parts)
    except (AssertionError, EOFError, OSError, RuntimeError, ValueError) as error:
        reason = (str(error).strip() or "damaged file").splitlines()[-1]
        raise FileNotFoundError(
            f"no usable {dataset.__name__} in {root!r} and no download ({reason}): connect to the network,"
            " or name the folder that holds torchvision's files with dataset.root=FOLDER"
        ) from None
    return in_memory(_channels_first(train), _channels_first(test), device, **common)


def _channels_first(dataset: Any) -> Images:
    pixels = torch.as_tensor(dataset.data)
    if pixels.ndim == 3:
        pixels = pixels[:, None]
    elif pixels.shape[1] != 3:  # SVHN's and STL10's channels come first
        pixels = pixels.movedim(-1, 1).contiguous()
    labels = dataset.targets if hasattr(dataset, "targets") else dataset.labels
    return Images(pixels, torch.as_tensor(labels).long())


def parquet(root: str, size: int | None = None, *, device: Device, **common: Any) -> Data:
    """Encoded images from train.parquet and test.parquet (or val.parquet) in root, decoded as RGB.

    Columns: `image` (JPEG, PNG or WebP bytes, or a struct with `bytes`, as Hugging Face writes it) and an
    integer `label`. Images of different sizes need a `size`.
    """
    paths = _path(root, "train.parquet"), _path(root, "test.parquet", "val.parquet")
    train, test = (read_images(path, size) for path in paths)
    return in_memory(train, test, device, size=size, **common)


def _path(root: str, *names: str) -> Path:
    for name in names:
        if Path(root, name).exists():
            return Path(root, name)
    raise FileNotFoundError(f"no {' or '.join(names)} in {root!r}: set dataset.root=FOLDER")


def in_memory(
    train: Images,
    test: Images,
    device: Device,
    *,
    normalize: Normalize,
    validation: float = 0.1,
    split_seed: int = 0,
    limit: int | None = None,
    channels: int | None = None,
    size: int | None = None,
    augment: Callable[[Tensor, torch.Generator], Tensor] | None = None,
) -> Data:
    """A Data whose pixels live on the device; what the options mean is said in conf/dataset/digits.yaml."""
    classes = classes_of(train.labels, test.labels)
    look = view(train.pixels.shape[1], normalize, channels, size, device)
    shape = _shape(train.pixels, test.pixels, look)
    learnt, held_out = divide(train.labels, validation, split_seed, limit)

    def part(images: Images, index: Tensor, augment: Any = None) -> InMemory:
        return InMemory(images.pixels[index].to(device), images.labels[index], look, augment)

    everything = torch.arange(len(test.labels))
    return Data(part(train, learnt, augment), part(train, held_out), part(test, everything), classes, shape)


def _shape(train: Tensor, test: Tensor, look: View) -> tuple[int, int, int]:
    """(C, H, W) as a network sees it."""
    if look.size is not None:
        return look.channels, look.size, look.size
    if train.shape[1:] != test.shape[1:]:
        shapes = [tuple(pixels.shape[1:]) for pixels in (train, test)]
        raise ValueError(f"training images are {shapes[0]}, test images {shapes[1]}: set dataset.size=PIXELS")
    return look.channels, train.shape[2], train.shape[3]


def image_folder(
    root: str,
    size: int,
    *,
    device: Device,
    normalize: Normalize,
    validation: float = 0.1,
    split_seed: int = 0,
    limit: int | None = None,
    channels: int | None = None,
    augment: Callable[[int], v2.Transform] | None = None,
    workers: int = 0,
) -> Data:
    """Image files in root/train/CLASS and root/test/CLASS (or root/val/CLASS), streamed from the disk.

    ImageNet's layout is this, and so is tiny ImageNet's, whose val/val_annotations.txt names the class of each image.
    Raises FileNotFoundError for a folder that is missing or empty.
    """
    if size is None:
        raise ValueError("dataset.size=null is not possible, as files vary: set dataset.size=PIXELS")
    look = view(3, normalize, channels, size, device)
    train, test = _folders(root)
    labels, test_labels = torch.tensor(train.targets), torch.tensor(test.targets)
    classes = classes_of(labels, test_labels)
    learnt, held_out = divide(labels, validation, split_seed, limit)

    def part(folder: ImageFolder, index: Tensor, augment: v2.Transform | None = None) -> Streamed:
        paths, labels = zip(*(folder.samples[i] for i in index.tolist()), strict=True)
        return Streamed(paths, torch.tensor(labels), look, center_crop(size), augment, workers, device)

    random_crop = None if augment is None else augment(size)
    everything = torch.arange(len(test))
    parts = part(train, learnt, random_crop), part(train, held_out), part(test, everything)
    return Data(*parts, classes, (look.channels, size, size))


def _folders(root: str) -> tuple[ImageFolder, ImageFolder]:
    train, test = (_folder(path) for path in (_path(root, "train"), _path(root, "test", "val")))
    differing = sorted(set(train.classes) ^ set(test.classes))
    if differing:
        raise ValueError(f"train and test in {root!r} differ in {differing[:3]}: use the same classes")
    return train, test


class _Annotated(ImageFolder):
    """Tiny ImageNet's validation part: images in one folder, and a file with a line for each: name, class, box."""

    def find_classes(self, directory: str | Path) -> tuple[list[str], dict[str, int]]:
        """See torchvision: the classes that the file names."""
        self.rows = [line.split("\t")[:2] for line in Path(directory, ANNOTATIONS).read_text().splitlines()]
        classes = sorted({name for _, name in self.rows})
        return classes, {name: number for number, name in enumerate(classes)}

    def make_dataset(self, directory, class_to_idx, *arguments, **options) -> list[tuple[str, int]]:  # type: ignore[override]
        """See torchvision: paths and class numbers."""
        return [(str(Path(directory, "images", file)), class_to_idx[name]) for file, name in self.rows]


def _folder(path: Path) -> ImageFolder:
    if (path / ANNOTATIONS).exists():
        return _Annotated(str(path))
    try:
        return ImageFolder(str(path))
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{path}: {str(error).splitlines()[0]}") from None
