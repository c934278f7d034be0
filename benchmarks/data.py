"""Train, validation and test parts of a data set, and the batches that are walked through them."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import v2

from benchmarks.images import View, decode
from benchmarks.sampling import generator, in_order, seed_of, steps, steps_per_epoch, stratified

__all__ = ["Data", "InMemory", "Part", "Streamed", "in_order", "steps", "steps_per_epoch"]

Batch = tuple[Tensor, Tensor]


class Part(Protocol):
    """Labelled examples in a fixed order."""

    @property
    def labels(self) -> Tensor:
        """(N,) int64, on the CPU."""
        ...

    def __len__(self) -> int: ...

    def batches(self, indices: Iterable[Tensor], seed: int = 0, *, start: int = 0) -> Iterator[Batch]:
        """For each index tensor (B,): inputs (B, …), images normalised float32, and targets (B, …), on device.

        Augmentation, if the part has one, is seeded by `seed` and the global step of the batch: `start`
        for the first one, so that a resumed run sees what an uninterrupted one does.
        """
        ...

    def draw(self, examples: int, seed: int) -> Batch:
        """One batch: a seeded, stratified sample (all, in order, when examples >= N), never augmented."""
        ...


@dataclass(frozen=True)
class Data:
    """A data set as it is used; choices are made on `validation`, `test` is read once, for the record."""

    train: Part
    validation: Part
    test: Part
    classes: int
    shape: tuple[int, ...]  # of an example as a network sees it: (C, H, W) for images
    vocabulary: int | None = None  # number of tokens, for texts

    def reconstructing(self) -> "Data":
        """The same, with each input as its own target."""
        return replace(self, **{name: Unlabelled(getattr(self, name)) for name in ("train", "validation", "test")})


@dataclass(frozen=True)
class InMemory:
    """A part that lives on the device."""

    inputs: Tensor  # (N, …), as `view` takes them: pixels for one
    labels: Tensor  # (N,) int64, on the CPU
    view: Callable[[Tensor], Tensor]
    augment: Callable[[Tensor, torch.Generator], Tensor] | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def batches(self, indices: Iterable[Tensor], seed: int = 0, *, start: int = 0) -> Iterator[Batch]:
        """See Part."""
        device = self.inputs.device
        for step, index in enumerate(indices, start):
            inputs = self.inputs[index.to(device)]
            if self.augment is not None:
                inputs = self.augment(inputs, generator("augmentation", seed, step))
            yield self.view(inputs), self.labels[index].to(device)

    def draw(self, examples: int, seed: int) -> Batch:
        """See Part."""
        index = stratified(self.labels, examples, generator("draw", seed))
        return next(replace(self, augment=None).batches([index]))


@dataclass(frozen=True)
class Unlabelled:
    """A part whose targets are its inputs."""

    part: Part

    @property
    def labels(self) -> Tensor:
        """See Part."""
        return self.part.labels

    def __len__(self) -> int:
        return len(self.part)

    def batches(self, indices: Iterable[Tensor], seed: int = 0, *, start: int = 0) -> Iterator[Batch]:
        """See Part."""
        return ((x, x) for x, _ in self.part.batches(indices, seed, start=start))

    def draw(self, examples: int, seed: int) -> Batch:
        """See Part."""
        x, _ = self.part.draw(examples, seed)
        return x, x


@dataclass(frozen=True)
class Sample:
    """Some examples of a part."""

    part: Part
    index: Tensor  # (n,) int64

    @property
    def labels(self) -> Tensor:
        """See Part."""
        return self.part.labels[self.index]

    def __len__(self) -> int:
        return len(self.index)

    def batches(self, indices: Iterable[Tensor], seed: int = 0, *, start: int = 0) -> Iterator[Batch]:
        """See Part."""
        return self.part.batches((self.index[chosen] for chosen in indices), seed, start=start)

    def draw(self, examples: int, seed: int) -> Batch:
        """See Part."""
        inside = stratified(self.labels, examples, generator("draw", seed))
        inputs, targets = self.part.draw(len(self.part), seed)  # all of it, in order, never augmented
        return inputs[self.index[inside]], targets[self.index[inside]]


def sample(part: Part, examples: int | None, seed: int) -> Part:
    """A stratified sample of a part; all of it where examples is None."""
    if examples is None:
        return part
    return Sample(part, stratified(part.labels, examples, generator("sample", seed)))


@dataclass(frozen=True)
class Streamed(Dataset):
    """A part that is read from image files batch by batch; what it yields does not depend on `workers`."""

    paths: Sequence[str]
    labels: Tensor  # (N,) int64, on the CPU
    view: View
    crop: v2.Transform  # to size × size pixels, for evaluation
    augment: v2.Transform | None = None  # the same for training, random
    workers: int = 0
    device: str | torch.device = "cpu"

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, key: tuple[int, int, int, int]) -> tuple[Tensor, int]:
        """The uint8 pixels and label of key = (index, seed, step, place in the batch), for the DataLoader."""
        index, *words = key
        image, label = decode(self.paths[index], self.paths[index]), int(self.labels[index])
        if self.augment is None:
            return self.crop(image), label
        # torchvision's transforms know only the global generator: lend it a seed, then put its state back
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed_of("augmentation", *words))
            return self.augment(image), label

    def batches(self, indices: Iterable[Tensor], seed: int = 0, *, start: int = 0) -> Iterator[Batch]:
        """See Part; ValueError names an image that cannot be decoded."""
        keys = (
            [(index, seed, step, place) for place, index in enumerate(batch.tolist())]
            for step, batch in enumerate(indices, start)
        )
        try:
            for pixels, labels in self._loader(keys):
                yield self.view(pixels.to(self.device)), labels.to(self.device)
        except ValueError as error:  # a worker's error arrives wrapped in its traceback: keep the last line
            error.__traceback__ = None  # its frames would keep the workers waiting
            raise ValueError(str(error).strip().splitlines()[-1].removeprefix("ValueError: ")) from None

    def _loader(self, keys: Iterable[list[tuple[int, int, int, int]]]) -> DataLoader:
        return DataLoader(
            self,
            batch_sampler=keys,
            num_workers=self.workers,
            multiprocessing_context="fork" if self.workers else None,  # spawn breaks under joblib's launcher
            generator=generator("workers"),  # else the global one would be advanced
        )

    def draw(self, examples: int, seed: int) -> Batch:
        """See Part."""
        index = stratified(self.labels, examples, generator("draw", seed))
        images, labels = zip(*replace(self, augment=None).batches(index.split(64)), strict=True)
        return torch.cat(images), torch.cat(labels)
