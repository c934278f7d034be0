"""Images that the user brings, as parquet or in folders, and what is said when they are not in order."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from torchvision.io import encode_jpeg, write_png

from benchmarks.data import InMemory, Streamed, in_order
from tests.datasets import error_of, load, png, random_pixels, write_parquet


@pytest.fixture
def encoded(tmp_path: Path) -> Path:
    """20 training and 6 test images of 6×4 pixels in 2 classes, as parquet."""
    for part, count in (("train", 20), ("test", 6)):
        images = [png(image) for image in random_pixels(count, 3, 4, 6)]
        write_parquet(tmp_path, images, [0, 1] * (count // 2), part)
    return tmp_path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """10 training and 2 validation images of different sizes, in the folders of 2 classes."""
    for part, count in (("train", 5), ("val", 1)):
        for kind in ("cat", "dog"):
            (tmp_path / part / kind).mkdir(parents=True)
            for i in range(count):
                write_png(random_pixels(3, 20 + i, 30), str(tmp_path / part / kind / f"{i}.png"))
    return tmp_path


def test_parquet_holds_the_written_pixels_whatever_wraps_them(encoded):
    data = load("parquet", root=str(encoded))
    assert isinstance(data.train, InMemory) and (data.classes, data.shape) == (2, (3, 4, 6))
    assert torch.equal(data.test.inputs, random_pixels(6, 3, 4, 6))
    assert data.test.labels.tolist() == [0, 1] * 3
    rows = [{"bytes": png(image), "path": None} for image in random_pixels(6, 3, 4, 6)]
    (encoded / "test.parquet").unlink()
    write_parquet(encoded, rows, [0, 1] * 3, "val")
    assert torch.equal(load("parquet", root=str(encoded)).test.inputs, data.test.inputs)


def test_parquet_images_of_different_sizes_kinds_and_colours_need_a_size(encoded):
    jpeg = encode_jpeg(random_pixels(1, 3, 9, 5)[0]).numpy().tobytes()
    write_parquet(encoded, [png(random_pixels(1, 1, 4, 4)[0]), jpeg] * 4, [0, 0, 1, 1] * 2)
    assert "dataset.size=" in error_of("parquet", root=str(encoded))
    data = load("parquet", root=str(encoded), size=6)
    assert data.shape == (3, 6, 6) and data.train.inputs.shape[1:] == (3, 6, 6)
    assert data.test.draw(4, 0)[0].shape == (4, 3, 6, 6)  # stored as 4×6, resized in the batch


def test_parquet_as_grey(encoded):
    data = load("parquet", root=str(encoded), channels=1)
    assert data.shape == (1, 4, 6) and data.train.draw(3, 0)[0].shape == (3, 1, 4, 6)


@pytest.mark.parametrize(
    ("images", "labels", "words"),
    [
        ([b"garbage"] * 4, [0, 0, 1, 1], "row 0"),
        ([None] * 4, [0, 0, 1, 1], "row 0"),
        ("png", [0, 0, 2, 2], "number them 0 … 1"),
        ("png", [1, 1, 2, 2], "number them 0 … 1"),
        ("png", [-1, -1, 0, 0], "number them 0 … 1"),
        ("png", [0, 0, 0, 1], "class 1 has 1 training example"),
        ("png", [0, 0, 0, 0], "test labels"),
        ("png", [0, 0, 1, None], "'label'"),
        ("png", ["a", "a", "b", "b"], "'label'"),
        ([], [], "empty"),
    ],
)
def test_bad_rows_of_a_parquet_file_are_one_line(encoded, images, labels, words):
    rows = [png(random_pixels(1, 3, 4, 6)[0])] * 4 if images == "png" else images
    label_type = None if labels else pa.int64()
    table = pa.table({"image": pa.array(rows, pa.binary()), "label": pa.array(labels, label_type)})
    pq.write_table(table, encoded / "train.parquet")
    assert words in error_of("parquet", root=str(encoded))


@pytest.mark.parametrize(
    ("images", "words"),
    [
        (pa.array([1, 2, 3, 4]), "'image' is int64"),
        (pa.array([{"path": "a.png"}] * 4), "'image' is struct"),
        (pa.array([{"bytes": b"garbage"}, None, None, None]), "row 0"),
    ],
)
def test_a_column_that_holds_no_encoded_images_is_one_line(encoded, images, words):
    pq.write_table(pa.table({"image": images, "label": [0, 0, 1, 1]}), encoded / "train.parquet")
    assert words in error_of("parquet", root=str(encoded))


def test_bad_parquet_files_are_one_line(encoded):
    assert "size=0" in error_of("parquet", root=str(encoded), size=0)
    pq.write_table(pa.table({"picture": [b""], "label": [0]}), encoded / "test.parquet")
    assert "'image'" in error_of("parquet", root=str(encoded))
    (encoded / "test.parquet").write_bytes(b"garbage")
    assert "not a readable parquet file" in error_of("parquet", root=str(encoded))
    (encoded / "test.parquet").unlink()
    assert "test.parquet or val.parquet" in error_of("parquet", root=str(encoded))


def test_an_image_folder_is_streamed_and_workers_change_nothing(folder):
    data = load("image_folder", root=str(folder), size=16, validation=0.2)
    assert isinstance(data.train, Streamed) and (data.classes, data.shape) == (2, (3, 16, 16))
    assert [len(part) for part in (data.train, data.validation, data.test)] == [8, 2, 2]
    assert not set(data.train.paths) & set(data.validation.paths) and data.test.labels.tolist() == [0, 1]
    assert data.train.augment is not None and data.validation.augment is None and data.test.augment is None
    ahead = load("image_folder", root=str(folder), size=16, validation=0.2, workers=1, channels=3).train
    here, there = (torch.cat([x for x, _ in part.batches(in_order(8, 3), 1)]) for part in (data.train, ahead))
    assert torch.equal(here, there)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_broken_image_is_named_when_it_is_read(folder, workers):
    (folder / "val" / "dog" / "0.png").write_bytes(b"garbage")
    test = load("image_folder", root=str(folder), size=16, workers=workers).test
    with pytest.raises(ValueError, match=r"^[^\n]*dog/0.png is not a readable[^\n]*$"):
        list(test.batches(in_order(2, 2)))


def test_bad_image_folders_are_one_line(folder):
    assert "dataset.size=" in error_of("image_folder", root=str(folder), size=None)
    (folder / "val" / "dog" / "0.png").rename(folder / "0.png")
    assert "dog" in error_of("image_folder", root=str(folder))
    (folder / "val" / "dog").rmdir()
    assert "['dog']" in error_of("image_folder", root=str(folder))
    (folder / "val").rename(folder / "validation")
    assert "no test or val in" in error_of("image_folder", root=str(folder))
    assert "dataset.root=" in error_of("image_folder", root=str(folder / "nowhere"))


def test_tiny_imagenets_layout(tmp_path):
    """Training images in CLASS/images, validation images in one folder with annotations; some are grey."""
    rows = []
    for number, name in enumerate(("n01", "n02")):
        (tmp_path / "train" / name / "images").mkdir(parents=True)
        (tmp_path / "train" / name / f"{name}_boxes.txt").write_text("a box")
        for i in range(4):
            write_png(
                random_pixels(1 + 2 * (i % 2), 8, 8), str(tmp_path / "train" / name / "images" / f"{name}_{i}.png")
            )
            rows.append(f"val_{number}{i}.png\t{name}\t0\t0\t7\t7")
    (tmp_path / "val" / "images").mkdir(parents=True)
    (tmp_path / "val" / "val_annotations.txt").write_text("\n".join(reversed(rows)))
    for row in rows:
        write_png(random_pixels(3, 8, 8), str(tmp_path / "val" / "images" / row.split("\t")[0]))
    data = load("image_folder", root=str(tmp_path), size=8)
    assert data.classes == 2 and len(data.test) == 8 and data.test.labels.tolist() == [1] * 4 + [0] * 4
    assert next(data.train.batches([torch.arange(4)]))[0].shape == (4, 3, 8, 8)
