"""Every method prunes every model, on a few digits, and the record holds what was asked."""

import json
from itertools import product
from pathlib import Path

import pytest
from hydra import compose, initialize
from omegaconf import OmegaConf

from benchmarks import measuring, pipeline, schema
from benchmarks.preparation import prepare
from benchmarks.tasks import Supervised
from methods import surgery
from methods.criterion import Impossible
from tests.datasets import png, random_pixels, write_parquet
from tests.networks import SMALL, TORCHVISION

METHODS = ("shapley", "magnitude", "random", "gradual", "leave_one_out", "taylor")
TINY = [
    "training=digits", "training.frequency=1", "training.dense.epochs=1", "training.recovery.epochs=1",
    "dataset.limit=128", "latency.repeats=2", "latency.batches=[1]", "threads=1",
]  # fmt: skip
PLAY = ("shapley", "owen", "leave_one_out")  # who try each unit
HEAVY = ("vgg11_bn", "densenet121", "efficientnet_b0")


def record_of(tmp_path, *overrides: str) -> dict:
    schema.register()
    with initialize(config_path="../conf", version_base="1.3"):
        config = compose("run", [*TINY, f"results={tmp_path}", *overrides], return_hydra_config=True)
        choices = dict(config.hydra.runtime.choices)
    OmegaConf.set_struct(config, False)
    del config["hydra"]
    plain = OmegaConf.to_container(config, resolve=True, enum_to_str=True)
    if "examples" in plain["method"]:
        plain["method"]["examples"] = 2
    if "estimator" in plain["method"]["criterion"]:
        plain["method"]["criterion"]["estimator"]["samples"] = 1
    return pipeline.run(plain, choices)


def check(record: dict) -> None:
    json.dumps(record, allow_nan=False)
    dense, pruned = record["dense"], record["pruned"]
    assert record["budget"]["achieved"] <= record["budget"]["keep"] + 1e-9
    assert record["budget"]["achieved"] > record["budget"]["keep"] - 0.05
    assert pruned["parameters"] == pytest.approx(record["budget"]["achieved"] * dense["parameters"])
    assert pruned["macs"] < dense["macs"] and pruned["bytes"] < dense["bytes"]
    assert 0 <= pruned["accuracy"] <= pruned["top5"] <= 1
    assert record["coverage"] > 0.99
    assert len(record["dense"]["latency"]["1"]) == len(record["control"]["latency"]["1"]) == 2


@pytest.mark.parametrize("model", SMALL)
@pytest.mark.parametrize("method", METHODS)
def test_every_method_on_every_small_model(method, model, tmp_path):
    size = 16 if model == "lenet5" else 8
    check(record_of(tmp_path, f"model={model}", f"method={method}", f"dataset.size={size}"))


WIDE = ("vgg11_bn_32", "mobilenet_v2", "vit")
EVERY_METHOD = sorted(path.stem for path in Path("conf/method").glob("*.yaml"))


@pytest.mark.slow
@pytest.mark.parametrize("model", [*SMALL, "cifar_resnet20", "densenet40", "vgg11_bn_32", "mobilenet_v2", "vit"])
@pytest.mark.parametrize("method", EVERY_METHOD)
@pytest.mark.filterwarnings("ignore:left whole")
def test_every_method_in_conf_on_every_kind_of_model(method, model, tmp_path):
    """Or it is told, before any training, why it cannot."""
    if method == "backward_elimination" and model in WIDE:
        pytest.skip("it asks for n²/2 coalitions of each group: hours for groups of hundreds of units")
    size = 8 if model in ("mlp", "convnet") else 16 if model in ("lenet5", "resnet20") else 32
    try:
        record = record_of(tmp_path, f"model={model}", f"method={method}", f"dataset.size={size}")
    except Impossible as error:
        assert method == "bn_scale" and "finds no BatchNorm" in str(error)
    else:
        assert record["budget"]["achieved"] <= 0.5 < record["budget"]["achieved"] + 0.1


def _pairs():
    """All pairs; slow are games of thousands of units, and networks of which a step takes long."""
    for method, model in product(METHODS, TORCHVISION):
        slow = method in PLAY or model in HEAVY
        yield pytest.param(method, model, marks=pytest.mark.slow if slow else ())


@pytest.fixture(scope="session")
def few(tmp_path_factory) -> list[str]:
    """150 training and 20 test images of 32×32 random pixels in 10 classes: wide networks take long for each."""
    folder = tmp_path_factory.mktemp("few")
    for part, count in (("train", 150), ("test", 20)):
        images = [png(image) for image in random_pixels(count, 3, 32, 32)]
        write_parquet(folder, images, [i % 10 for i in range(count)], part)
    return ["dataset=parquet", "dataset.name=few", f"dataset.root={folder}", "dataset.limit=null"]


@pytest.mark.parametrize(("method", "model"), _pairs())
def test_every_method_on_every_torchvision_model(method, model, few, tmp_path):
    check(record_of(tmp_path, f"model={model}", f"method={method}", *few, "keep=0.3"))


@pytest.mark.parametrize("allocation", ["uniform", "global", "global_raw", "global_mean", "global_max"])
@pytest.mark.parametrize("schedule", ["one_shot", "iterative", "gradual"])
def test_any_criterion_takes_any_schedule_and_allocation(schedule, allocation, tmp_path):
    record = record_of(tmp_path, "method=taylor", "model=convnet", f"schedule={schedule}", f"allocation={allocation}")
    check(record)
    assert len(record["rounds"]) == {"one_shot": 1, "iterative": 5, "gradual": 1}[schedule]


@pytest.mark.parametrize("of", ["units", "parameters", "macs"])
def test_any_budget(of, tmp_path):
    record = record_of(tmp_path, "method=magnitude", "model=resnet20", f"budget.of={of}")
    assert record["budget"]["achieved"] == pytest.approx(0.5, abs=0.01)
    if of == "macs":
        assert record["pruned"]["macs"] == pytest.approx(record["budget"]["achieved"] * record["dense"]["macs"])


@pytest.mark.parametrize("granularity", ["unit", "weight"])
def test_the_pruned_network_is_left_for_use(granularity, tmp_path):
    record = record_of(tmp_path, "method=magnitude", "model=mlp", f"granularity={granularity}", "keep=0.3")
    config = record["config"]
    setup = prepare(config)
    model, groups = surgery.load(
        tmp_path / "cache" / "pruned" / f"{record['id']}.safetensors", setup.network, setup.example
    )
    assert setup.task.evaluate(model, setup.data.test)["loss"] == pytest.approx(record["pruned"]["loss"])
    assert measuring.size(model, setup.example)["nonzero_parameters"] == record["pruned"]["nonzero_parameters"]
    assert {group.name: group.ids.tolist() for group in groups} == (record["rounds"][-1]["kept"] if groups else {})


@pytest.mark.parametrize("method", ["magnitude", "random", "gradual"])
def test_single_weights(method, tmp_path):
    record = record_of(
        tmp_path, f"method={method}", "model=lenet5", "granularity=weight", "keep=0.2", "dataset.size=16"
    )
    dense, pruned = record["dense"], record["pruned"]
    assert pruned["parameters"] == dense["parameters"] and pruned["macs"] == dense["macs"]
    assert pruned["nonzero_parameters"] == pytest.approx(0.2 * dense["parameters"], abs=1)
    assert all(isinstance(left, int) for left in record["rounds"][-1]["kept"].values())


def test_the_test_part_is_read_once_and_never_before_the_pruned_network_is_final(tmp_path, monkeypatch):
    read = []
    evaluate = Supervised.evaluate

    def spy(task, model, part):
        read.append(len(part))
        return evaluate(task, model, part)

    monkeypatch.setattr(Supervised, "evaluate", spy)
    record = record_of(tmp_path, "method=magnitude", "schedule=iterative")
    validation, test, watched = 144, 359, len(record["recovery"]["curve"])
    # The dense network, five rounds before and after recovery, every epoch of it; then dense and pruned.
    assert read == [validation] * (1 + 10 + watched) + [test] * 2
