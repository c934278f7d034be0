"""The command: python -m benchmarks.evidence puts into data/ what committed records read and no run downloads."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch.hub import download_url_to_file
from torchvision.datasets import CIFAR10
from torchvision.io import encode_png

from benchmarks.mistakes import one_line
from benchmarks.records import write_whole

SUBSET = {"train": 2_000, "test": 1_000}  # so many images of CIFAR-10, the first ones
REPOSITORY = "https://github.com/akamaster/pytorch_resnet_cifar10/raw/d5489e8995e81e91ce6b1d69dcc98ad579b0b153/"
WEIGHTS = ("resnet20-12fca82f.th", "resnet56-4bfd9763.th")


def subset(root: Path) -> Path:
    """Write cifar10-lossless-3k, the first images of CIFAR-10, as train.parquet and test.parquet; returns its folder.

    Where they are not there yet; torchvision then downloads CIFAR-10 (170 MB) to `root`.
    """
    folder = root / "cifar10-lossless-3k"
    for part, count in SUBSET.items():
        if not (path := folder / f"{part}.parquet").exists():
            images = CIFAR10(str(root), train=part == "train", download=True)
            columns = {"image": [_png(pixels) for pixels in images.data[:count]], "label": images.targets[:count]}
            write_whole(path, pd.DataFrame(columns).to_parquet)
    return folder


def _png(pixels: np.ndarray) -> bytes:
    """(H, W, 3) uint8 as a file, which loses nothing."""
    return encode_png(torch.from_numpy(pixels).permute(2, 0, 1)).numpy().tobytes()


def weights(root: Path, name: str) -> Path:
    """Download a ResNet that others trained on CIFAR-10, unless it is there; returns its file.

    Raises RuntimeError for another file than that of the name, whose digits begin the file's sha256.
    """
    path = root / "weights-cifar10" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        url = f"{REPOSITORY}pretrained_models/{name}"
        download_url_to_file(url, str(path), hash_prefix=path.stem.split("-")[-1], progress=False)
    return path


def main(root: Path = Path("data")) -> int:
    """Fetch all of it and tell what lies where; 2, and one line, where the network does not give it."""
    try:
        print(subset(root), *(weights(root, name) for name in WEIGHTS), sep="\n")
    except (EOFError, OSError, RuntimeError, ValueError) as error:
        told = f"no download to {root} ({one_line(error)})"
        print(f"error: {told}: connect to the network and repeat the command", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
