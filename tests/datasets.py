"""Data sets for tests, loaded from conf/dataset as a run does."""

from pathlib import Path

import pytest
import torch
from hydra.errors import InstantiationException
from hydra.utils import instantiate
from omegaconf import OmegaConf

from benchmarks.data import Data
from benchmarks.sampling import generator

CONF = Path(__file__).parents[1] / "conf" / "dataset"


def load(name: str, **options) -> Data:
    return instantiate(OmegaConf.load(CONF / f"{name}.yaml"), device="cpu", **options)


def error_of(name: str, **options) -> str:
    """The message of the user's mistake, after a check that it is one line."""
    with pytest.raises(InstantiationException) as caught:
        load(name, **options)
    cause = caught.value.__cause__
    assert isinstance(cause, ValueError | FileNotFoundError) and "\n" not in str(cause)
    return str(cause)


def random_pixels(*shape: int) -> torch.Tensor:
    return torch.randint(256, shape, dtype=torch.uint8, generator=generator("pixels"))
