"""Data sets for tests, loaded from conf/dataset as a run does."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from omegaconf import OmegaConf
from torchvision.io import encode_png

from benchmarks import preparation
from benchmarks.data import Data
from benchmarks.sampling import generator

CONF = Path(__file__).parents[1] / "conf" / "dataset"


def load(name: str, **options) -> Data:
    dataset = {**OmegaConf.to_container(OmegaConf.load(CONF / f"{name}.yaml")), **options}
    preparation._load.cache_clear()  # tests change files under one name
    return preparation.load({"dataset": dataset, "model": {"channels": None}}, torch.device("cpu"))


def error_of(name: str, **options) -> str:
    """The message of the user's mistake, after a check that it is one line."""
    with pytest.raises((ValueError, FileNotFoundError)) as caught:
        load(name, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def random_pixels(*shape: int) -> torch.Tensor:
    return torch.randint(256, shape, dtype=torch.uint8, generator=generator("pixels"))


def png(image: torch.Tensor) -> bytes:
    return encode_png(image).numpy().tobytes()


def write_parquet(root: Path, images: list, labels: list, part: str = "train") -> None:
    pq.write_table(pa.table({"image": images, "label": labels}), root / f"{part}.parquet")
