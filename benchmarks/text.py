"""Texts as data sets: words for classification, characters for language models."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor

from benchmarks.data import Batch, Data, InMemory
from benchmarks.sampling import classes_of, divide, generator, split, stratified

Device = str | torch.device
Tables = tuple[pd.DataFrame, pd.DataFrame]  # training and test part, with columns text and label
PADDING, UNKNOWN, FIRST_WORD = 0, 1, 2


def classification(
    root: str,
    download: Callable[[Path], Tables] | None = None,
    *,
    device: Device,
    vocabulary: int = 10_000,
    length: int = 64,
    validation: float = 0.1,
    split_seed: int = 0,
    limit: int | None = None,
) -> Data:
    """Texts with labels as (N, length) word numbers: 0 pads on the left, 1 is a word that is not in the vocabulary.

    From train.parquet and test.parquet (or dev, val) in root, with columns `text` (or `title` and `description`) and
    `label`; from `download` where root has none. The vocabulary is the most frequent words of what is trained on.
    Raises FileNotFoundError without data, ValueError for data of another form.
    """
    train, test = _tables(Path(root), download)
    labels, test_labels = (torch.tensor(table["label"].to_numpy().astype("int64")) for table in (train, test))
    classes = classes_of(labels, test_labels)
    learnt, held_out = divide(labels, validation, split_seed, limit)
    words = [split_words(text) for text in train["text"]]
    known = most_frequent((words[i] for i in learnt.tolist()), vocabulary - FIRST_WORD)
    tokens = encode(words, known, length)
    test_tokens = encode([split_words(text) for text in test["text"]], known, length)

    def part(tokens: Tensor, labels: Tensor) -> InMemory:
        return InMemory(tokens.to(device), labels, as_they_are)

    parts = (part(tokens[i], labels[i]) for i in (learnt, held_out))
    return Data(*parts, part(test_tokens, test_labels), classes, (length,), len(known) + FIRST_WORD)


def split_words(text: str) -> list[str]:
    """Lower-case words and numbers, and each other sign."""
    return re.findall(r"[^\W_]+(?:'[^\W_]+)?|[^\w\s]|_", text.lower())


def most_frequent(texts: Iterable[Sequence[str]], count: int) -> dict[str, int]:
    """The numbers of the `count` most frequent words, equally frequent ones in alphabetical order."""
    counts = Counter(word for text in texts for word in text)
    order = sorted(counts, key=lambda word: (-counts[word], word))
    return {word: number for number, word in enumerate(order[:count], FIRST_WORD)}


def encode(texts: Sequence[Sequence[str]], known: dict[str, int], length: int) -> Tensor:
    """Texts as (N, length) int64: their first `length` words, at the end of the row; an empty text is one unknown."""
    tokens = torch.full((len(texts), length), PADDING)
    for row, text in zip(tokens, texts, strict=True):
        numbers = [known.get(word, UNKNOWN) for word in text[:length]] or [UNKNOWN]
        row[-len(numbers) :] = torch.tensor(numbers)
    return tokens


def as_they_are(tokens: Tensor) -> Tensor:
    """Tokens need no preparation."""
    return tokens


def _tables(root: Path, download: Callable[[Path], Tables] | None) -> Tables:
    """The training and the test part; where a folder has just one, a fifth of it is for testing, for ever the same."""
    paths = [next((p for n in names if (p := root / f"{n}.parquet").exists()), None) for names in (TRAIN, TEST)]
    found = [_with_text(pd.read_parquet(path), path) for path in paths if path]
    if not found and download is not None:
        return download(root)
    if not found:
        raise FileNotFoundError(f"no train.parquet and no test.parquet in {str(root)!r}: set dataset.root=FOLDER")
    if len(found) == 2:
        return found[0], found[1]
    rest, test = split(torch.tensor(found[0]["label"].to_numpy()), 0.2, generator("texts", 0))
    return found[0].iloc[rest.numpy()], found[0].iloc[test.numpy()]


TRAIN, TEST = ("train",), ("test", "dev", "val")


def _with_text(table: pd.DataFrame, path: Path) -> pd.DataFrame:
    if {"title", "description"} <= set(table):
        table = table.assign(text=table["title"] + " " + table["description"])
    if not {"text", "label"} <= set(table):
        raise ValueError(f"{path} has no 'text' and 'label' but {list(table)}: rename the right columns")
    return table[["text", "label"]]


@dataclass(frozen=True)
class RunningText:
    """A part made of windows of one text: inputs (B, length), and as targets the tokens that follow each of them."""

    tokens: Tensor  # (M,) int64
    length: int

    def __len__(self) -> int:
        return max(0, len(self.tokens) - 1) // self.length

    @property
    def labels(self) -> Tensor:
        """All alike: a sample of windows needs no proportions."""
        return torch.zeros(len(self), dtype=torch.long)

    def batches(self, indices: Iterable[Tensor], seed: int = 0, *, start: int = 0) -> Iterator[Batch]:
        """See benchmarks.data.Part."""
        offsets = torch.arange(self.length + 1, device=self.tokens.device)
        for index in indices:
            windows = self.tokens[self.length * index.to(offsets.device)[:, None] + offsets]
            yield windows[:, :-1], windows[:, 1:]

    def draw(self, examples: int, seed: int) -> Batch:
        """See benchmarks.data.Part."""
        return next(self.batches([stratified(self.labels, examples, generator("draw", seed))]))


def characters(
    root: str,
    download: Callable[[Path], Path] | None = None,
    *,
    device: Device,
    length: int = 64,
    limit: int | None = None,
) -> Data:
    """root/input.txt as characters, numbered in the order of their code points: nine tenths to train on, then a
    twentieth for validation and for testing each. `limit` counts windows to train on.

    Raises FileNotFoundError without a text, ValueError for one that is too short.
    """
    path = Path(root, "input.txt")
    if not path.exists() and download is None:
        raise FileNotFoundError(f"no input.txt in {root!r}: set dataset.root=FOLDER")
    text = (path if path.exists() or download is None else download(Path(root))).read_text()
    known = {character: number for number, character in enumerate(sorted(set(text)))}
    tokens = torch.tensor([known[character] for character in text], device=device)
    cuts = [int(0.9 * len(tokens)), int(0.95 * len(tokens))]
    train, held_out, test = (RunningText(part, length) for part in tokens.tensor_split(cuts))
    if not len(held_out):
        raise ValueError(f"{path} has {len(text)} characters, too few for windows of {length}: lower dataset.length")
    if limit is not None:
        train = RunningText(train.tokens[: limit * length + 1], length)
    return Data(train, held_out, test, len(known), (length,), len(known))
