"""Encoded images and labels from a parquet file."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import torch
from torch import Tensor
from torchvision.transforms.v2.functional import resize

from benchmarks.images import Images, decode, require_size


def read_images(path: Path, size: int | None) -> Images:
    """The columns `image` (encoded bytes, or a struct with `bytes`) and `label` (integers) of a parquet file.

    Images are decoded as RGB; a size bounds their side, and is needed when they differ in size.
    Raises ValueError for a file, column, image or label that cannot be read.
    """
    require_size(size)
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"{path} is not a readable parquet file ({reason}): write it again") from None
    for column in ("image", "label"):
        if column not in table.column_names:
            raise ValueError(f"{path} has no {column!r} but {table.column_names}: rename the right column")
    return Images(_pixels(table["image"], path, size), _integers(table["label"], path))


def _integers(column: pa.ChunkedArray, path: Path) -> Tensor:
    if not pa.types.is_integer(column.type) or column.null_count:
        raise ValueError(f"{path}: 'label' is {column.type} with {column.null_count} nulls: use integers")
    return torch.tensor(column.to_numpy().astype(np.int64))


def _pixels(column: pa.ChunkedArray, path: Path, size: int | None) -> Tensor:
    encoded = enumerate(_encoded(column, path))
    images = [_at_most(decode(row.as_py() or b"", f"row {i} of {path}"), size) for i, row in encoded]
    shapes = sorted({tuple(image.shape[1:]) for image in images})
    if len(shapes) > 1 and size is None:
        sizes = f"{len(shapes)} sizes, {shapes[0]} to {shapes[-1]}"
        raise ValueError(f"{path} has images of {sizes}: set dataset.size=PIXELS")
    if len(shapes) > 1:
        images = [resize(image, [size, size], antialias=True) for image in images]
    return torch.stack(images) if images else torch.empty(0, 3, 1, 1, dtype=torch.uint8)


def _encoded(column: pa.ChunkedArray, path: Path) -> pa.ChunkedArray:
    if pa.types.is_struct(column.type) and column.type.get_field_index("bytes") >= 0:
        column = pc.struct_field(column, "bytes")
    if not (pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type)):
        raise ValueError(f"{path}: 'image' is {column.type}: use encoded bytes")
    return column


def _at_most(image: Tensor, size: int | None) -> Tensor:
    """Large images shrink as they are read, small ones grow in their batch: that saves memory."""
    if size is None or max(image.shape[1:]) <= size:
        return image
    return resize(image, [size, size], antialias=True)
