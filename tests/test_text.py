"""Texts become numbers by what is trained on alone; sequence models see what they should and nothing else."""

import csv

import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import downloads, text
from benchmarks.sequences import gpt, gru, lstm, text_transformer
from benchmarks.text import PADDING, UNKNOWN, RunningText
from methods import dependencies
from tests.datasets import error_of, load

CLASSES = (("good", "great", "fine"), ("bad", "poor", "awful"))


def sentences(count: int, seed: int) -> pd.DataFrame:
    """Sentences of one to four words of their class, and one that says which they are."""
    picks = torch.randint(3, (count, 4), generator=torch.Generator().manual_seed(seed)).tolist()
    rows = [
        (" ".join(CLASSES[i % 2][w] for w in pick[: 1 + i % 4]) + f" s{seed}x{i}", i % 2)
        for i, pick in enumerate(picks)
    ]
    return pd.DataFrame(rows, columns=["text", "label"])


@pytest.fixture
def root(tmp_path):
    sentences(60, 0).to_parquet(tmp_path / "train.parquet")
    sentences(20, 1).to_parquet(tmp_path / "test.parquet")
    return tmp_path


def test_texts_are_rows_of_words_padded_on_the_left(root):
    data = load("sst2", root=str(root), length=5, vocabulary=1000)
    assert data.shape == (5,) and data.classes == 2 and len(data.test) == 20
    inputs, labels = next(data.test.batches([torch.arange(20)]))
    assert inputs.shape == (20, 5) and inputs.dtype == torch.long and labels.tolist() == [0, 1] * 10
    assert (inputs[:, -1] != PADDING).all() and (inputs[0, :3] == PADDING).all()
    padded = (inputs == PADDING).int()
    assert (padded.diff(dim=1) <= 0).all()  # once a text has begun there is no padding


def test_the_vocabulary_is_that_of_what_is_trained_on(root):
    """Words of the validation and of the test part alone are unknown, as they will be in use."""
    data = load("sst2", root=str(root), length=8, vocabulary=1000)
    own = [next(part.batches([torch.arange(len(part))]))[0] for part in (data.train, data.validation, data.test)]
    assert [int((tokens == UNKNOWN).sum()) for tokens in own] == [0, len(data.validation), len(data.test)]
    assert data.vocabulary == 2 + 6 + len(data.train)


def test_the_most_frequent_words_stay_and_ties_are_alphabetical():
    known = text.most_frequent([["b", "a", "c"], ["c", "d"]], 3)
    assert known == {"c": 2, "a": 3, "b": 4}
    assert text.encode([["a", "d", "c", "a"], []], known, 3).tolist() == [[3, 1, 2], [0, 0, 1]]


@given(st.text(max_size=60))
def test_words_are_all_that_is_not_space(string):
    words = text.split_words(string)
    assert "".join(words).replace(" ", "") == "".join(string.lower().split()).replace(" ", "") or not string.isascii()
    assert all(word == word.lower() and " " not in word for word in words) or not string.isascii()


def test_a_folder_with_one_part_is_cut(tmp_path):
    table = sentences(50, 0).rename(columns={"text": "title"}).assign(description="the rest")
    table.to_parquet(tmp_path / "test.parquet")
    data = load("ag_news", root=str(tmp_path))
    assert len(data.train) + len(data.validation) == 40 and len(data.test) == 10
    again = load("ag_news", root=str(tmp_path), split_seed=5)
    assert torch.equal(again.test.labels, data.test.labels)


def test_windows_of_a_running_text(tmp_path):
    (tmp_path / "input.txt").write_text("abcdefghij" * 100)
    data = load("tiny_shakespeare", root=str(tmp_path), length=7)
    assert data.classes == data.vocabulary == 10 and len(data.train) == 899 // 7
    inputs, targets = next(data.train.batches([torch.tensor([0, 2])]))
    assert torch.equal(inputs[:, 1:], targets[:, :-1]) and inputs[1, 0] == 14 % 10
    assert (targets == (inputs + 1) % 10).all()
    assert len(load("tiny_shakespeare", root=str(tmp_path), length=7, limit=3).train) == 3


@given(st.integers(2, 200), st.integers(1, 20))
def test_windows_do_not_overlap_and_leave_less_than_one(count, length):
    part = RunningText(torch.arange(count), length)
    if len(part):
        inputs, targets = next(part.batches([torch.arange(len(part))]))
        assert inputs.flatten().tolist() == list(range(len(part) * length)) and torch.equal(targets, inputs + 1)
    assert count - 1 - len(part) * length < length


def test_mistakes_are_told_in_one_line(tmp_path, monkeypatch):
    def fails(*arguments, **options):
        raise OSError("no route")

    for name in ("download_and_extract_archive", "download_url"):
        monkeypatch.setattr(downloads, name, fails)
    for name in ("sst2", "ag_news", "imdb", "tiny_shakespeare"):
        said = error_of(name, root=str(tmp_path))
        assert "no download (no route): connect to the network, or name the folder" in said
    sentences(8, 0).rename(columns={"text": "words"}).to_parquet(tmp_path / "train.parquet")
    assert "has no 'text' and 'label' but ['words', 'label']" in error_of("sst2", root=str(tmp_path))
    (tmp_path / "input.txt").write_text("too short")
    assert "too few for windows of 64: lower dataset.length" in error_of("tiny_shakespeare", root=str(tmp_path))


def test_downloaded_forms_are_read(tmp_path, monkeypatch):
    monkeypatch.setattr(downloads, "SST2_MD5", {"train": None, "test": None})
    for part in ("train", "test"):
        quoted = sentences(12, 0).assign(text=lambda table: '" ' + table["text"])  # a sign like any other
        quoted.to_csv(tmp_path / f"{part}.tsv", sep="\t", index=False, header=False, quoting=csv.QUOTE_NONE)
        for label in ("pos", "neg"):
            folder = tmp_path / "aclImdb" / part / label
            folder.mkdir(parents=True)
            for i in range(6):
                (folder / f"{i}.txt").write_text(f"{label} {i}")
        rows = [(1 + i % 4, f"title {i}", "text, with a comma") for i in range(16)]
        pd.DataFrame(rows).to_csv(tmp_path / f"{part}.csv", index=False, header=False)
    read = {name: load(name, root=str(tmp_path)) for name in ("sst2", "ag_news", "imdb")}
    assert [data.classes for data in read.values()] == [2, 4, 2]
    assert len(read["sst2"].train) + len(read["sst2"].validation) == len(read["sst2"].test) == 12


@torch.no_grad()
def test_a_language_model_does_not_see_what_it_tells():
    torch.manual_seed(0)
    model, tokens = gpt(11, 8, dim=16, heads=2, layers=2).eval(), torch.randint(11, (3, 8))
    changed = tokens.clone()
    changed[:, 5] = (changed[:, 5] + 1) % 11
    before, after = model(tokens), model(changed)
    assert before.shape == (3, 8, 11)
    assert torch.equal(before[:, :5], after[:, :5]) and not torch.allclose(before[:, 5:], after[:, 5:])


@torch.no_grad()
def test_padding_is_not_seen():
    torch.manual_seed(0)
    model, tokens = text_transformer(2, 11, 8, dim=16, heads=2).eval(), torch.randint(2, 11, (3, 8))
    tokens[:, :3] = PADDING
    before = model(tokens)
    model.embedding.weight[PADDING] += 5
    assert torch.allclose(before, model(tokens), atol=1e-5)


@pytest.mark.parametrize("build", [lstm, gru])
def test_recurrent_networks_have_hidden_units(build):
    model = build(3, 11, embedding=6, hidden=9)
    (group,) = dependencies.find(model, torch.randint(11, (2, 5)))
    assert group.name == "recurrent" and group.size == 9
    assert {(s.layer, s.side) for s in group.readers} == {("recurrent", "hidden"), ("head", "in")}
