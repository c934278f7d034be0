"""Records: named by what they depend on and nothing else, whole or not there at all."""

import json
import os
from functools import cache

import pytest
from hydra import compose, initialize
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from benchmarks import identity, records, schema

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda v: st.lists(v, max_size=3) | st.dictionaries(st.text(max_size=5), v, max_size=3),
    max_leaves=6,
)


@cache
def config(*overrides: str) -> dict:
    schema.register()
    with initialize(config_path="../conf", version_base="1.3"):
        return OmegaConf.to_container(compose("run", list(overrides)), resolve=True, enum_to_str=True)


def run_id(*overrides: str) -> str:
    return identity.identity(identity.run_parts(config(*overrides)))


PINNED = {
    "": "32d13bb1817b",
    "method=magnitude": "b6bb4fa18137",
    "method=gradual keep=0.25 seed=3": "bd17bfcab306",
    "model=resnet20 dataset=cifar10 allocation=global budget.of=macs": "a5a92c53a395",
}


@pytest.mark.parametrize("overrides", PINNED)
def test_ids_are_pinned(overrides):
    """An id that changes makes every record of every user be run again: change these knowingly."""
    assert run_id(*overrides.split()) == PINNED[overrides]


@pytest.mark.parametrize(
    "other",
    [
        "device=cpu",
        "threads=2",
        "results=elsewhere",
        "sweep=other",
        "force=true",
        "wandb.mode=online",
        "memory=1e9",
        "workers=2",
        "worth=margin method=magnitude",
        "latency.repeats=5",
    ],
)
def test_what_a_run_does_not_depend_on_stays_out_of_its_id(other):
    method = "method=magnitude"
    assert run_id(method, *(o for o in other.split() if o != method)) == run_id(method)


@pytest.mark.parametrize(
    "other",
    [
        "seed=1",
        "keep=0.4",
        "budget.floor=2",
        "schedule=iterative",
        "allocation=global",
        "worth=margin",
        "aggregate=mean",
        "model=convnet",
        "dataset.split_seed=1",
        "training.recovery.epochs=3",
        "training.dense.epochs=3",
        "estimator.samples=7",
        "method.examples=10",
    ],
)
def test_what_a_run_depends_on_is_in_its_id(other):
    assert run_id("method=shapley", other) != run_id("method=shapley")


def test_memory_counts_nowhere_in_a_criterion_that_plays():
    assert run_id("method=inverted", "memory=1e9") == run_id("method=inverted")


def test_what_starts_anew_beside_a_checkpoint_depends_on_how_a_dense_network_trains(tmp_path):
    (tmp_path / "mine.pt").write_bytes(b"weights")
    longer, given = "training.dense.epochs=3", f"checkpoint={tmp_path / 'mine.pt'}"
    assert run_id("method=narrow", given, longer) != run_id("method=narrow", given)
    assert run_id("method=random", given, longer) == run_id("method=random", given)


def test_the_root_of_a_data_set_is_no_part_of_its_identity_but_its_name_is():
    local = ["dataset=parquet", "dataset.root=/a"]
    assert run_id("dataset=cifar10") == run_id("dataset=cifar10", "dataset.root=/b")
    assert run_id(*local, "dataset.name=x") != run_id(*local, "dataset.name=y")
    assert run_id(*local, "dataset.name=x") == run_id("dataset=parquet", "dataset.root=/b", "dataset.name=x")


def test_methods_of_a_seed_share_the_dense_network_and_budgets_share_its_scores():
    dense, scores = (
        (lambda *o: identity.identity(identity.dense_parts(config(*o)))),
        (lambda *o: identity.identity(identity.scores_parts(config(*o)))),
    )
    assert dense("method=shapley", "keep=0.5") == dense("method=gradual", "keep=0.1", "allocation=global")
    assert dense("seed=0") != dense("seed=1")
    assert scores("keep=0.5", "schedule=iterative") == scores("keep=0.1", "allocation=global")
    assert scores("worth=margin") != scores("worth=accuracy")


@settings(max_examples=50)
@given(st.dictionaries(st.text(max_size=5), json_values, max_size=4))
def test_identity_ignores_the_order_of_keys_and_nothing_else(parts):
    turned = dict(reversed(parts.items()))
    assert identity.identity(turned) == identity.identity(parts)
    assert identity.identity({**parts, "more": 1}) != identity.identity({**parts, "more": 2})


@settings(max_examples=50)
@given(content=st.dictionaries(st.text(max_size=5), json_values, max_size=4))
def test_what_is_written_is_read(content, tmp_path_factory):
    path = tmp_path_factory.mktemp("records") / "abc.json"
    records.write(path, {**content, "id": "abc"})
    assert records.read(path) == {**content, "id": "abc"}


def test_a_write_that_dies_leaves_the_old_record(tmp_path, monkeypatch):
    path = tmp_path / "abc.json"
    records.write(path, {"id": "abc", "value": 1})

    def die(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", die)
    with pytest.raises(KeyboardInterrupt):
        records.write(path, {"id": "abc", "value": 2})
    assert records.read(path)["value"] == 1
    assert records.load(tmp_path.parent) == []


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", json.dumps({"id": "other"})])
def test_a_broken_record_is_named_in_one_line(content, tmp_path):
    path = tmp_path / "records" / "abc.json"
    path.parent.mkdir()
    path.write_text(content)
    with pytest.raises(ValueError, match=r"abc\.json is not a record .*: delete it and run its sweep again") as told:
        records.load(tmp_path)
    assert "\n" not in str(told.value)
