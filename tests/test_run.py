"""Sweeps continue, runs are no-ops when they exist, and mistakes are told in one line."""

import json
import re
import shlex
from pathlib import Path
from urllib.error import URLError

import pytest
import torch
from torchvision.models import resnet18, squeezenet1_1

from benchmarks import records
from benchmarks.checkpoints import digest, with_classes
from benchmarks.identity import identity, run_parts
from benchmarks.resnets import cifar_resnet

FEW = "estimator.samples=1"


def recorded(folder, sweep="scratch"):
    return records.load(folder / sweep)


def test_a_run_leaves_a_whole_record_and_is_not_run_twice(command, tmp_path):
    code, said = command("method=shapley", FEW, "keep=0.25")
    assert code == 0 and said.startswith("digits mlp shapley keep=0.25 seed=0: ")
    (record,) = recorded(tmp_path)
    assert record["pruned"]["parameters"] <= 0.25 * record["dense"]["parameters"]
    assert record["budget"]["achieved"] == pytest.approx(record["pruned"]["parameters"] / record["dense"]["parameters"])
    kept, scores = (record["rounds"][0][key] for key in ("kept", "scores"))
    assert {name: len(values) for name, values in scores.items()} == {"1": 128, "3": 64}
    weakest_kept = {name: min(scores[name][unit] for unit in units) for name, units in kept.items()}
    assert all(sum(s > weakest_kept[name] for s in scores[name]) < len(kept[name]) for name in kept)
    assert record["rounds"][0]["evaluations"] == record["cost"]["evaluations"] > 0
    files = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.json")}
    code, said = command("method=shapley", FEW, "keep=0.25")
    assert code == 0 and "has its record" in said
    assert files == {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.json")}
    assert command("method=shapley", FEW, "keep=0.25", "force=true")[1] != said


def test_the_golden_record(command, tmp_path):
    """What is counted is exact on every machine; what is trained and timed is of the golden record's shape."""
    assert command("method=random", "model=convnet", "keep=0.25", "schedule=iterative", "schedule.rounds=2")[0] == 0
    (record,) = recorded(tmp_path)
    golden = json.loads((Path(__file__).parent / "golden" / "record.json").read_text())
    assert shape(record) == shape(golden)
    for key in ("id", "choices", "seed", "budget", "coverage"):
        assert record[key] == golden[key], key
    for one, other in zip(record["rounds"], golden["rounds"], strict=True):
        assert all(
            one[key] == other[key] for key in ("step", "asked", "achieved", "units", "kept", "scores", "evaluations")
        )
    for network in ("dense", "pruned"):
        for key in ("parameters", "nonzero_parameters", "macs", "bytes"):
            assert record[network][key] == golden[network][key], (network, key)
        assert record[network]["accuracy"] == pytest.approx(golden[network]["accuracy"], abs=0.05)


def test_a_record_names_the_command_that_makes_it_again(command, tmp_path):
    command("-m", "method=magnitude,random", "keep=[0.5,0.25]", "seed=1", "sweep=pair", "layer=3", "budget.of=units")
    for record in recorded(tmp_path, "pair"):
        program, module, *overrides = shlex.split(record["command"])[1:]
        assert (program, module) == ("-m", "benchmarks.run") and str(tmp_path) not in record["command"]
        again = tmp_path / "again" / record["id"]
        command(*overrides, f"results={again}")
        (other,) = recorded(again, "pair")
        assert (other["id"], other["pruned"]["accuracy"]) == (record["id"], record["pruned"]["accuracy"])


def test_a_command_tells_the_fraction_whole(command, tmp_path):
    command("method=magnitude", "keep=0.33333333")
    assert recorded(tmp_path)[0]["command"].endswith(" keep=0.33333333")


def test_a_record_without_the_latencies_that_are_asked_for_is_made_again(command, tmp_path):
    command("method=magnitude")
    code, said = command("-m", "method=magnitude", "sweep=mine", "latency.batches=[1,2]")
    assert code == 0 and "has its record" not in said
    assert recorded(tmp_path, "mine")[0]["dense"]["latency"].keys() == {"1", "2"}
    assert "has its record" in command("method=magnitude", "sweep=mine")[1]
    assert "time nothing" in command("method=random", "latency.repeats=0")[1]
    assert "time nothing" in command("method=random", "latency.batches=[]")[1]


def test_recovery_on_few_examples_takes_fewer_steps(command, tmp_path):
    command("method=magnitude", "training.examples=128", "training.recovery.batch_size=32")
    (record,) = recorded(tmp_path)
    assert record["recovery"]["curve"][-1][0] == 2 * 128 // 32


def shape(value):
    """Keys and types, at any depth; of a list, those of its first entry."""
    if isinstance(value, dict):
        return {key: shape(entry) for key, entry in value.items()}
    return [shape(entry) for entry in value[:1]] if isinstance(value, list) else type(value)


def test_a_list_of_fractions_is_a_run_each(command, tmp_path):
    code, said = command("-m", "method=magnitude", "keep=[0.5,0.25,0.0001]", "seed=0,1", "sweep=curve")
    assert code == 1 and "[6/6] digits mlp magnitude keep=0.0001 seed=1: FAILED: keep=0.0001 of parameters" in said
    assert sorted(record["budget"]["keep"] for record in recorded(tmp_path, "curve")) == [0.25, 0.25, 0.5, 0.5]
    assert command("method=magnitude", "keep=0.25", "sweep=curve")[1].count("has its record") == 1


def test_another_sweep_takes_over_a_record_that_exists(command, tmp_path):
    command("method=magnitude")
    code, said = command("method=magnitude", "sweep=mine")
    assert code == 0 and "has its record" in said
    (copy,), (original,) = recorded(tmp_path, "mine"), recorded(tmp_path)
    assert copy == {**original, "sweep": "mine"}


def test_a_sweep_prints_its_table_shares_the_dense_network_and_continues(command, tmp_path):
    code, said = command("-m", "method=magnitude,random", "seed=0,1", "sweep=pair")
    assert code == 0 and "[4/4]" in said and "| magnitude" in said and "| random" in said
    assert len(list((tmp_path / "cache" / "dense").glob("*.safetensors"))) == 2
    (tmp_path / "pair" / "records" / f"{recorded(tmp_path, 'pair')[0]['id']}.json").unlink()
    code, said = command("-m", "method=magnitude,random", "seed=0,1", "sweep=pair")
    assert code == 0 and said.count("has its record") == 3 and len(recorded(tmp_path, "pair")) == 4


def test_a_failed_run_is_recorded_and_the_sweep_goes_on(command, tmp_path):
    code, said = command("-m", "method=magnitude", "keep=0.0001,0.5", "sweep=half")
    assert code == 1 and "1 runs failed" in said and "[2/2] digits mlp magnitude" in said
    (failure,) = (tmp_path / "half" / "failed").glob("*.json")
    failed = json.loads(failure.read_text())
    assert failed["error"].startswith("keep=0.0001 of parameters is infeasible") and "Traceback" in failed["traceback"]
    assert not failed["skipped"] and [record["budget"]["keep"] for record in recorded(tmp_path, "half")] == [0.5]


def test_only_what_failed_now_counts(command, tmp_path, monkeypatch):
    assert command("-m", "keep=0.0001", "method=magnitude,random", "sweep=mine")[0] == 1
    assert command("-m", "keep=0.5", "method=magnitude,random", "sweep=mine")[0] == 0  # those of old are no concern
    monkeypatch.setattr("benchmarks.pipeline.prepare", lambda config: 1 / 0)
    code, said = command("-m", "keep=0.5", "method=magnitude,random", "sweep=mine", "force=true")
    assert code == 1 and "2 runs failed" in said and len(recorded(tmp_path, "mine")) == 2


def test_a_sweep_of_impossible_pairs_can_be_repeated(command):
    assert [command("-m", "method=bn_scale", "seed=0,1", "sweep=pairs")[0] for _ in range(2)] == [0, 0]


def test_an_impossible_pair_is_recorded_as_skipped_and_no_failure_of_the_sweep(command, tmp_path):
    code, said = command("-m", "method=bn_scale,taylor,magnitude", "worth=accuracy", "sweep=pairs")
    assert code == 0 and said.count("SKIPPED: ") == 2 and "FAILED" not in said
    assert "2 runs skipped, as what they combine does not fit; the first reason: " in said
    skipped = [json.loads(path.read_text()) for path in (tmp_path / "pairs" / "failed").glob("*.json")]
    assert all(one["skipped"] for one in skipped)
    reasons = sorted(one["error"].split(":")[0] for one in skipped)
    assert reasons == ["bn_scale finds no BatchNorm behind 1", "taylor needs a worth with a derivative"]
    assert [record["choices"]["method"] for record in recorded(tmp_path, "pairs")] == ["magnitude"]
    assert command("method=bn_scale", "sweep=alone")[0] == 1


def test_a_corrupt_record_of_a_sweep_is_named_at_its_end(command, tmp_path):
    broken = tmp_path / "pair" / "records" / "abc.json"
    broken.parent.mkdir(parents=True)
    broken.write_text("{")
    code, said = command("-m", "method=magnitude", "seed=0,1", "sweep=pair")
    assert code == 1 and "abc.json is not a record" in said.splitlines()[-1]
    assert len(list(broken.parent.iterdir())) == 3


def test_recalled_and_computed_stages_continue_identically(command, tmp_path):
    """A second method of a seed recalls the dense network and scores; alone it makes them: the records agree."""
    command("method=shapley", FEW, "keep=0.5")
    command("method=shapley", FEW, "keep=0.25")
    recalled = next(record for record in recorded(tmp_path) if record["budget"]["keep"] == 0.25)
    command("method=shapley", FEW, "keep=0.25", f"results={tmp_path / 'alone'}")
    (alone,) = recorded(tmp_path / "alone")
    for record in (recalled, alone):
        for one in record["rounds"]:
            del one["scoring_seconds"]
        del record["pruned"]["latency"], record["dense"]["latency"]
    assert recalled["rounds"] == alone["rounds"]
    assert (recalled["pruned"], recalled["dense"]) == (alone["pruned"], alone["dense"])


MISTAKES = {
    "method=shaply": r"method=shaply is unknown \(did you mean shapley\?\): choose one of apoz, backward_elimination",
    "model=mpl": r"model=mpl is unknown \(did you mean mlp\?\): choose one of autoencoder",
    "dataset=cifar": r"dataset=cifar is unknown \(did you mean cifar10\?\)",
    "experiment=quick": r"experiment=quick is unknown",
    "kep=0.5": r"kep is unknown \(did you mean keep\?\)",
    "estimator.sample=3": r"estimator\.sample is unknown \(did you mean samples\?\)",
    "estimator.samples=many": r"method cannot work with the options .*'samples': 'many'",
    "estimator=kernal": r"estimator=kernal is unknown \(did you mean kernel\?\): choose one of adjusted, antithetic",
    "estimator=exact": r"exact values of 128 players need 2\^128 evaluations: choose another estimator",
    "estimator=kernel estimator.samples=2": r"samples=2 are too few for a regression on 128 players: give 4 or more",
    "estimator.samples=0": r"samples are too few for a single draw: give estimator.samples=2 or more",
    "memory=1000": r"memory=0 MiB is too little for one example: give \d+ MiB or more",
    "keep=half": r"keep=half is neither a fraction nor a list of fractions: choose keep=0\.5",
    "seed=x": r"seed=x Value 'x' of type 'str' could not be converted to Integer",
    "training.dense.epochs=long": r"epochs=long Value 'long' of type 'str' could not be converted to Integer",
    "budget.of=flops": r"Invalid value 'flops', expected one of \[units, parameters, macs, latency\]",
    "wandb.mode=on": r"Invalid value 'on', expected one of \[offline, online, disabled\]",
    "keep=1.5": r"keep=1\.5 is not a fraction: choose 0 < keep <= 1",
    "keep=0.001": r"keep=0\.001 of parameters is infeasible: .* smallest feasible is keep=0\.\d+",
    "dataset=parquet": r"dataset\.name, dataset\.root must be set",
    "granularity=weight": r"this method scores units, not weights: choose granularity=unit",
    "schedule=gradual schedule.frequency=500": r"frequency=500 has no removal in .* lower schedule\.frequency",
    "schedule=rigl": r"units that are gone cannot grow back: choose granularity=weight or another schedule",
    "training.dense.optimizer.lr=1e9": r"training diverged at step \d+ .*lower training",
    "model=vit": r"VisionTransformer cannot take inputs of \(3, 8, 8\) .*resize them with dataset\.size",
    "model=vgg11_bn dataset.size=4": r"vgg11_bn cannot take inputs of \(3, 4, 4\) .*resize them with dataset\.size",
    "model=mlp model.network.hidden=[]": r"Sequential has no units to prune",
    "dataset=mnist dataset.root=ROOT": r"no usable MNIST in '.*' and no download .*dataset\.root=FOLDER",
    "dataset=image_folder dataset.name=mine dataset.root=ROOT/none dataset.size=32": r"no train in .*set dataset\.root",
}


@pytest.mark.parametrize("arguments", MISTAKES)
def test_a_mistake_is_told_in_one_line_before_work_is_done(arguments, command, tmp_path, monkeypatch):
    monkeypatch.setattr("urllib.request.urlopen", _no_network)
    (tmp_path / "root").mkdir()
    code, said = command(
        *arguments.replace("ROOT", str(tmp_path / "root")).split(),
        "method=shapley" if "method" not in arguments else "seed=0",
    )
    assert code == 1
    assert re.search(MISTAKES[arguments], said), said
    assert "\n" not in said
    assert not list(tmp_path.rglob("*.safetensors")) and not list(tmp_path.rglob("records"))


def _no_network(*arguments, **options):
    raise URLError("no network")


def test_a_corrupt_checkpoint_a_corrupt_record_and_corrupt_scores_are_named(command, tmp_path):
    command("method=shapley", FEW)
    (record,) = (tmp_path / "scratch" / "records").glob("*.json")
    (scores,) = (tmp_path / "cache" / "scores").glob("*.safetensors")
    (dense,) = (tmp_path / "cache" / "dense").glob("*.safetensors")
    for path, what in ((record, "is not a record"), (scores, "holds no scores"), (dense, "is not a checkpoint")):
        content = path.read_bytes()
        path.write_bytes(content[: len(content) // 2])
        code, said = command("method=shapley", FEW, *([] if path == record else ["force=true"]))
        assert code == 1 and f"{path} {what}" in said and "delete it" in said and "\n" not in said
        path.unlink()  # as the message says
        assert command("method=shapley", FEW)[0] == 0


MINE = """
from torch import nn


class Mine(nn.Module):
    def __init__(self, num_classes, width=12):
        super().__init__()
        self.first, self.second = nn.Conv2d(1, width, 3), nn.Conv2d(width, width, 3)
        self.head = nn.Linear(width, num_classes)

    def forward(self, x):
        return self.head(self.second(self.first(x).relu()).relu().mean((2, 3)))
"""


def test_a_model_of_ones_own_needs_a_configuration_alone(command, tmp_path, monkeypatch):
    (tmp_path / "own" / "model").mkdir(parents=True)
    (tmp_path / "own" / "my_networks.py").write_text(MINE)
    config = "channels: null\nnetwork: {_target_: my_networks.Mine, _partial_: true, width: 10}\n"
    (tmp_path / "own" / "model" / "mine.yaml").write_text(config)
    monkeypatch.syspath_prepend(tmp_path / "own")
    code, said = command(f"--config-dir={tmp_path / 'own'}", "model=mine", "method=taylor", "keep=0.6")
    assert code == 0, said
    (record,) = recorded(tmp_path)
    assert set(record["rounds"][0]["kept"]) == {"first", "second"} and record["choices"]["model"] == "mine"
    assert record["command"].startswith("python -m benchmarks.run --config-dir=own ")


def test_a_checkpoint_of_ones_own_is_the_dense_network(command, tmp_path):
    torch.manual_seed(5)
    network = cifar_resnet(10, 8)
    network.eval()
    state = {f"module.{name}": t for name, t in network.state_dict().items() if "shortcut" not in name}
    torch.save({"state_dict": state, "best_prec1": 10.0}, tmp_path / "mine.th")
    asked = ["model=cifar_resnet20", "model.network.depth=8", "method=magnitude", "dataset.size=8"]
    code, said = command(*asked, f"checkpoint={tmp_path / 'mine.th'}")
    assert code == 0, said
    (record,) = recorded(tmp_path)
    assert record["cost"]["training_seconds"] == 0 and not (tmp_path / "cache" / "dense").exists()
    assert record["config"]["checkpoint"]["name"] == "mine.th" and str(tmp_path / "mine.th") not in json.dumps(record)
    assert identity(run_parts(record["config"])) == record["id"]  # wherever the file is, or is no more
    again = ["-m", *asked, f"checkpoint={tmp_path / 'mine.th'}", "sweep=mine"]
    assert "has its record" in command(*again)[1] and "all runs of this sweep have" in command(*again)[1]
    torch.save({name: tensor + 0.1 for name, tensor in state.items()}, tmp_path / "mine.th")
    digest.cache_clear()  # as another process would find it
    assert command(*again)[0] == 0 and len(recorded(tmp_path, "mine")) == 2  # another file under the same name
    code, said = command(*asked, "model.network.depth=14", f"checkpoint={tmp_path / 'mine.th'}")
    assert code == 1 and "mine.th does not fit ResNet: it has no layer1.1.bn1.bias" in said
    (tmp_path / "broken.th").write_bytes(b"no weights")
    code, said = command(*asked, f"checkpoint={tmp_path / 'broken.th'}")
    assert code == 1 and "broken.th is no checkpoint" in said and "give a state dict saved by torch" in said
    code, said = command(*asked, "checkpoint=nowhere.th")
    assert code == 1 and "checkpoint=nowhere.th is no file: give the path of one" in said


def test_pretrained_weights_get_a_new_last_layer():
    network = with_classes(resnet18(num_classes=1000), 7)
    assert network.fc.out_features == 7
    assert with_classes(squeezenet1_1(num_classes=1000), 7)(torch.zeros(1, 3, 64, 64)).shape == (1, 7)
