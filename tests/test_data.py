"""Laws of splits, steps, augmentation and views, and of the parts that batches come from."""

from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.io import write_png

from benchmarks.data import InMemory, Streamed, in_order, sample, steps, steps_per_epoch
from benchmarks.images import center_crop, crop_and_flip, random_resized_crop, view
from benchmarks.sampling import divide, generator, seed_of, stratified
from tests.datasets import random_pixels

GREY = {"mean": [0.25], "std": [0.5]}
COLOUR = {"mean": [0.1, 0.2, 0.3], "std": [0.5, 0.4, 0.3]}
seeds = st.integers(0, 2**31)
class_counts = st.lists(st.integers(2, 30), min_size=1, max_size=6)


def shuffled_labels(counts: list[int]) -> torch.Tensor:
    labels = torch.arange(len(counts)).repeat_interleave(torch.tensor(counts))
    return labels[torch.randperm(len(labels), generator=generator("test"))]


@given(class_counts, st.floats(0.01, 0.5), seeds)
def test_train_and_validation_partition_every_class_in_proportion(counts, fraction, seed):
    labels = shuffled_labels(counts)
    train, validation = divide(labels, fraction, seed, limit=None)
    assert torch.equal(torch.cat([train, validation]).sort().values, torch.arange(len(labels)))
    share = len(validation) / len(labels)
    held_out = labels[validation].bincount(minlength=len(counts))
    assert all(abs(held - share * count) < 1 for held, count in zip(held_out.tolist(), counts, strict=True))
    assert torch.equal(divide(labels, fraction, seed, None)[1], validation)


@given(class_counts, st.integers(1, 200), seeds)
def test_a_stratified_sample_has_its_size_and_no_repetition(counts, examples, seed):
    labels = shuffled_labels(counts)
    index = stratified(labels, examples, generator(seed))
    assert len(index) == len(index.unique()) == min(examples, len(labels))


def test_the_seed_decides_the_split_and_a_limit_leaves_validation_alone():
    labels = shuffled_labels([40, 60])
    train, validation = divide(labels, 0.2, 0, None)
    assert not torch.equal(validation, divide(labels, 0.2, 1, None)[1])
    few, same = divide(labels, 0.2, 0, limit=10)
    assert torch.equal(same, validation) and set(few.tolist()) < set(train.tolist())
    assert labels[few].bincount().tolist() == [4, 6]


@given(st.integers(1, 40), st.integers(1, 50), seeds, st.lists(st.integers(0, 60), min_size=3, max_size=3))
def test_resumed_steps_are_the_uninterrupted_ones(size, batch_size, seed, cuts):
    start, middle, stop = sorted(cuts)
    whole = list(steps(size, batch_size, seed, start, stop))
    resumed = [*steps(size, batch_size, seed, start, middle), *steps(size, batch_size, seed, middle, stop)]
    assert len(whole) == len(resumed) == stop - start
    assert all(torch.equal(a, b) for a, b in zip(whole, resumed, strict=True))


@given(st.integers(1, 40), st.integers(1, 50), seeds)
def test_an_epoch_has_whole_batches_without_repetition_and_epochs_differ(size, batch_size, seed):
    length = steps_per_epoch(size, batch_size)
    index = torch.cat(list(steps(size, batch_size, seed, 0, length)))
    assert len(index) == len(index.unique()) == (size if size < batch_size else length * batch_size)
    assert all(len(batch) == min(size, batch_size) for batch in steps(size, batch_size, seed, 0, 3 * length))
    epochs = list(steps(1000, 1000, seed, 0, 2))
    assert not torch.equal(*epochs)


@given(st.integers(1, 100), st.integers(1, 30))
def test_evaluation_sees_every_example_once_in_order(size, batch_size):
    batches = list(in_order(size, batch_size))
    assert torch.equal(torch.cat(batches), torch.arange(size))
    assert len(batches[-1]) == (size % batch_size or batch_size)


def test_seeds_are_the_same_in_every_process_and_differ_by_purpose():
    assert seed_of("epoch", 0, 3) == 2854170853730440723
    assert len({seed_of("epoch", 0, 3), seed_of("draw", 0, 3), seed_of("epoch", 3, 0)}) == 3


@settings(max_examples=25)
@given(st.integers(1, 5), st.integers(1, 3), st.integers(1, 7), st.integers(1, 6), st.integers(0, 3), seeds)
def test_augmented_images_are_shifts_of_the_image_or_its_mirror(count, channels, height, width, crop, seed):
    pixels = random_pixels(count, channels, height, width)
    augmented = crop_and_flip(pixels, generator("a", seed), crop)
    assert augmented.shape == pixels.shape and augmented.dtype == pixels.dtype and augmented.is_contiguous()
    for before, after in zip(pixels, augmented, strict=True):
        padded = torch.nn.functional.pad(torch.stack([before, before.flip(-1)]), [crop] * 4)
        windows = padded.unfold(2, height, 1).unfold(3, width, 1)
        assert (windows.permute(0, 2, 3, 1, 4, 5).flatten(0, 2) == after).flatten(1).all(1).any()


def test_each_image_is_augmented_on_its_own():
    pixels = torch.arange(64, dtype=torch.uint8).view(1, 1, 8, 8).expand(100, 1, 8, 8)

    def kinds(crop: int, flip: bool) -> int:
        return len(crop_and_flip(pixels, generator(0), crop, flip).unique(dim=0))

    assert kinds(crop=4, flip=True) > 50  # of 2 · 9² equally likely ones, 75 are expected
    assert (kinds(crop=0, flip=True), kinds(crop=0, flip=False)) == (2, 1)


def test_a_view_scales_normalises_and_repeats_grey():
    pixels = torch.tensor([0, 255], dtype=torch.uint8).view(1, 1, 1, 2)
    grey = view(1, GREY, None, None, "cpu")(pixels)
    assert torch.equal(grey.flatten(), torch.tensor([-0.5, 1.5])) and grey.dtype == torch.float32
    colour = view(1, GREY, 3, None, "cpu")(pixels)
    assert colour.shape == (1, 3, 1, 2) and torch.equal(colour, grey.expand(1, 3, 1, 2))
    assert torch.equal(view(1, GREY, None, None, "cpu")(pixels / 255), grey)


def test_a_view_turns_colour_into_luma_of_mean_zero_and_resizes():
    look = view(3, COLOUR, 1, 4, "cpu")
    mean = torch.tensor(COLOUR["mean"]).view(1, 3, 1, 1).expand(2, 3, 8, 6)
    assert look(mean).shape == (2, 1, 4, 4) and torch.allclose(look(mean), torch.zeros(()), atol=1e-6)
    white_less_black = look(torch.ones(1, 3, 4, 4)) - look(torch.zeros(1, 3, 4, 4))
    deviation = 0.299 * 0.5 + 0.587 * 0.4 + 0.114 * 0.3
    assert white_less_black.mean().item() == pytest.approx(1 / deviation, rel=1e-3)


@pytest.fixture(scope="module", params=["in memory", "streamed", "streamed by workers"])
def part(request, tmp_path_factory):
    """24 different 10×10 images of 3 classes, with augmentation."""
    pixels = random_pixels(24, 3, 10, 10)
    labels, look = torch.arange(24) % 3, view(3, COLOUR, None, 8, "cpu")
    if request.param == "in memory":
        return InMemory(pixels, labels, look, partial(crop_and_flip, crop=2))
    folder = tmp_path_factory.mktemp("images")
    paths = [str(folder / f"{i}.png") for i in range(24)]
    for image, path in zip(pixels, paths, strict=True):
        write_png(image, path)
    workers = 2 if request.param == "streamed by workers" else 0
    return Streamed(paths, labels, look, center_crop(8), random_resized_crop(8), workers)


def same(one, other) -> bool:
    batches = zip(one, other, strict=True)
    return all(torch.equal(x, other_x) and torch.equal(y, other_y) for (x, y), (other_x, other_y) in batches)


def test_resumed_batches_are_augmented_as_uninterrupted_ones(part):
    indices = list(steps(len(part), 5, 0, 0, 8))
    whole = list(part.batches(indices, seed=1))
    assert same(whole[:3], part.batches(indices[:3], seed=1))
    assert same(whole[3:], part.batches(indices[3:], seed=1, start=3))
    assert not same(whole, part.batches(indices, seed=2))
    assert not same(whole[3:], part.batches(indices[3:], seed=1))
    assert all(torch.equal(y, part.labels[index]) for index, (_, y) in zip(indices, whole, strict=True))
    assert all(x.shape == (5, 3, 8, 8) and x.dtype == torch.float32 and x.is_contiguous() for x, _ in whole)


def test_the_global_generator_is_left_alone(part):
    before = torch.get_rng_state()
    list(part.batches(in_order(len(part), 10), seed=3))
    part.draw(6, seed=0)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_draw_is_seeded_stratified_and_not_augmented(part):
    x, y = part.draw(9, seed=0)
    assert y.bincount().tolist() == [3, 3, 3] and same([(x, y)], [part.draw(9, seed=0)])
    assert not torch.equal(x, part.draw(9, seed=1)[0])
    everything, labels = part.draw(100, seed=5)
    assert torch.equal(labels, part.labels) and torch.equal(everything, part.draw(24, seed=6)[0])
    assert all((everything == image).flatten(1).all(1).any() for image in x)


@given(class_counts, st.integers(1, 60), seeds)
def test_a_sample_of_a_part_is_a_part_of_its_own(counts, examples, seed):
    labels = shuffled_labels(counts)
    inputs = torch.arange(len(labels)).float()
    part = InMemory(inputs, labels, lambda x: x)
    some = sample(part, examples, seed)
    assert len(some) == min(examples, len(labels)) and sample(part, None, seed) is part
    [(x, y)] = some.batches([torch.arange(len(some))])
    assert torch.equal(y, some.labels) and torch.equal(labels[x.long()], y) and len(set(x.tolist())) == len(some)
    drawn, targets = some.draw(5, seed)
    assert set(drawn.tolist()) <= set(x.tolist()) and torch.equal(labels[drawn.long()], targets)
