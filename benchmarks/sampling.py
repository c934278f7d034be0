"""Which examples, in which order: seeded draws that never touch torch's global generator."""

import hashlib
from collections.abc import Iterator

import torch
from torch import Tensor


def seed_of(*words: str | int) -> int:
    """The 64-bit seed of a tuple of words, such as ("epoch", 0, 3); other words, an unrelated stream."""
    return int.from_bytes(hashlib.sha256(repr(words).encode()).digest()[:8], "big")


def generator(*words: str | int) -> torch.Generator:
    """A CPU generator seeded by words; on the CPU so that every device sees the same numbers."""
    return torch.Generator().manual_seed(seed_of(*words))


def quotas(counts: Tensor, examples: int) -> Tensor:
    """How many of each class belong in a proportional sample, each within one of its exact share.

    counts: (C,) int64, examples of each class. Returns (C,) int64 that sums to examples; the largest
    remainders are rounded up (Hamilton's method).
    """
    shares, total = counts * examples, int(counts.sum())
    whole = shares // total
    largest = (shares % total).argsort(descending=True, stable=True)
    whole[largest[: examples - int(whole.sum())]] += 1
    return whole


def stratified(labels: Tensor, examples: int, generator: torch.Generator) -> Tensor:
    """Indices of a random sample that has the class proportions of labels, in ascending order.

    labels: (N,) int64. Returns (min(examples, N),) int64.
    """
    if examples >= len(labels):
        return torch.arange(len(labels))
    counts = labels.bincount()
    order = torch.randperm(len(labels), generator=generator)
    order = order[labels[order].argsort(stable=True)]  # class by class, shuffled within each
    classes = labels[order]
    rank = torch.arange(len(labels)) - (counts.cumsum(0) - counts)[classes]
    return order[rank < quotas(counts, examples)[classes]].sort().values


def split(labels: Tensor, fraction: float, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Cut 0..N-1 into (rest, part), where part is a stratified fraction of all, at least one example."""
    part = stratified(labels, max(1, round(fraction * len(labels))), generator)
    rest = torch.ones(len(labels), dtype=torch.bool)
    rest[part] = False
    return rest.nonzero().flatten(), part


def classes_of(train: Tensor, test: Tensor) -> int:
    """The number of classes C; ValueError unless the labels are 0 … C-1, each at least twice in train."""
    if not len(train) or not len(test):
        raise ValueError(f"{len(train)} training and {len(test)} test examples: neither part may be empty")
    present, counts = train.unique(return_counts=True)
    classes = len(present)
    if not torch.equal(present, torch.arange(classes)):
        raise ValueError(
            f"{classes} classes have labels from {present[0]} to {present[-1]}: number them 0 … {classes - 1}"
        )
    if counts.min() < 2:
        raise ValueError(f"class {counts.argmin()} has 1 training example: give it at least 2")
    if test.min() < 0 or test.max() >= classes:
        raise ValueError(f"test labels {test.min()} … {test.max()} are not in 0 … {classes - 1}")
    return classes


def divide(labels: Tensor, validation: float, split_seed: int, limit: int | None) -> tuple[Tensor, Tensor]:
    """Indices of what is trained on and of the validation part: a stratified fraction of labels (N,).

    With a limit, only so many of the former are kept, stratified too; the validation part stays the same.
    """
    if not 0 < validation <= 0.5:
        raise ValueError(f"validation={validation} is no part of train: choose 0 < validation <= 0.5")
    if limit is not None and limit < 1:
        raise ValueError(f"limit={limit} leaves nothing to train on: choose at least 1, or null for all")
    train, held_out = split(labels, validation, generator("validation", split_seed))
    if limit is not None:
        train = train[stratified(labels[train], limit, generator("limit", split_seed))]
    return train, held_out


def steps_per_epoch(size: int, batch_size: int) -> int:
    """Training steps that make an epoch: whole batches only, or one batch of all when size < batch_size."""
    if size < 1 or batch_size < 1:
        raise ValueError(f"size={size} and batch_size={batch_size} must both be at least 1")
    return max(1, size // batch_size)


def steps(size: int, batch_size: int, seed: int, start: int, stop: int) -> Iterator[Tensor]:
    """Indices of the training steps start … stop-1; epoch e is a permutation seeded by (seed, e).

    A resumed run sees what an uninterrupted one does: steps(…, 0, 10) = steps(…, 0, 4) + steps(…, 4, 10).
    Yields (batch_size,) int64; the short last batch of an epoch is left out.
    """
    length = steps_per_epoch(size, batch_size)
    for epoch in range(start // length, -(-stop // length)):
        order = torch.randperm(size, generator=generator("epoch", seed, epoch))
        first = epoch * length
        yield from order.split(batch_size)[:length][max(start - first, 0) : stop - first]


def in_order(size: int, batch_size: int) -> Iterator[Tensor]:
    """0 … size-1 in batches, the partial last one included: what evaluation walks."""
    yield from torch.arange(size).split(batch_size)
