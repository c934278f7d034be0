"""Text data sets from where their authors keep them, for roots that hold none."""

import csv
from collections.abc import Callable
from pathlib import Path

import pandas as pd
from torchvision.datasets.utils import download_and_extract_archive, download_url

SST2 = (
    "https://raw.githubusercontent.com/clairett/pytorch-sentiment-classification/"
    "457ffd83de90a9d6d472d8ffc31bbffe40a8b236/data/SST2/"
)
SST2_MD5 = {"train": "c6150a821d5effe356ec872c2b95855c", "test": "f8f49ee1b37ec68b0e8977fbe33761e2"}
AG_NEWS = "https://raw.githubusercontent.com/mhjabreel/CharCnn_Keras/master/data/ag_news_csv/"
IMDB = "https://ai.stanford.edu/~amaas/data/sentiment/aclImdb_v1.tar.gz"
TINY_SHAKESPEARE = "https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt"


def sst2(root: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The Stanford sentiment treebank's whole sentences in two classes: 6,920 to train on and 1,821 for testing.

    Not GLUE's SST-2, which trains on phrases too and keeps the labels of its test part to itself.
    """
    return _sst2_part(root, "train"), _sst2_part(root, "test")


def _sst2_part(root: Path, part: str) -> pd.DataFrame:
    path = root / f"{part}.tsv"
    _fetch("SST-2", root, lambda: download_url(SST2 + path.name, str(root), md5=SST2_MD5[part]))  # unless it is there
    return pd.read_csv(path, sep="\t", names=["text", "label"], quoting=csv.QUOTE_NONE)


def ag_news(root: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Headlines and first sentences in four classes."""
    return _ag_news_part(root, "train.csv"), _ag_news_part(root, "test.csv")


def _ag_news_part(root: Path, name: str) -> pd.DataFrame:
    if not (root / name).exists():
        _fetch("AG News", root, lambda: download_url(AG_NEWS + name, str(root)))
    table = pd.read_csv(root / name, names=["label", "title", "description"])
    return pd.DataFrame({"text": table["title"] + " " + table["description"], "label": table["label"] - 1})


def imdb(root: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Film reviews in two classes."""
    folder = root / "aclImdb"
    if not folder.exists():
        _fetch("IMDB", root, lambda: download_and_extract_archive(IMDB, str(root)))
    return _reviews(folder / "train"), _reviews(folder / "test")


def _reviews(folder: Path) -> pd.DataFrame:
    rows = [
        (path.read_text(), label)
        for label, of in enumerate(("neg", "pos"))
        for path in sorted((folder / of).glob("*.txt"))
    ]
    return pd.DataFrame(rows, columns=["text", "label"])


def tiny_shakespeare(root: Path) -> Path:
    """A million characters of Shakespeare's plays: the file that holds them."""
    _fetch("tiny Shakespeare", root, lambda: download_url(TINY_SHAKESPEARE, str(root), "input.txt"))
    return root / "input.txt"


def _fetch(name: str, root: Path, download: Callable[[], None]) -> None:
    """Run a download. Raises FileNotFoundError, in one line, when it fails."""
    try:
        download()
    except (OSError, RuntimeError, ValueError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[-1]
        raise FileNotFoundError(
            f"no {name} in {str(root)!r} and no download ({reason}): connect to the network, or name the folder that "
            "holds it with dataset.root=FOLDER"
        ) from None
