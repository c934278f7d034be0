"""The command of a record's page makes that record again."""

import shlex
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from benchmarks import records, schema
from benchmarks.commands import CONF, command
from benchmarks.identity import identity, run_parts

RESULTS = Path(__file__).parents[1] / "results"


def committed() -> list[dict]:
    """Records whose commands differ in more than model and seed."""
    found = [one for path in sorted(RESULTS.glob("*/records")) for one in records.load(path.parent)]
    kinds = {(r["sweep"], r["choices"]["method"], r["choices"]["aggregate"], r["choices"]["dataset"]): r for r in found}
    return list(kinds.values())


def composed(line: str) -> dict:
    schema.register()
    python, flag, module, *overrides = shlex.split(line)
    assert [python, flag, module] == ["python", "-m", "benchmarks.run"]
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return OmegaConf.to_container(compose("run", overrides), resolve=True, enum_to_str=True)


@pytest.mark.parametrize("record", committed(), ids=lambda record: f"{record['sweep']}-{record['id']}")
def test_it_names_the_same_run(record):
    found = composed(command(record))
    if weights := record["config"]["checkpoint"]:
        assert found["checkpoint"] == weights["name"]
        found["checkpoint"] = weights
    assert identity(run_parts(found)) == record["id"]
    assert found["sweep"] == record["sweep"]
    assert found["dataset"].get("root") == record["config"]["dataset"].get("root")


def test_what_conf_says_is_not_repeated():
    [record] = [one for one in committed() if (one["sweep"], one["choices"]["method"]) == ("quickstart", "magnitude")]
    said = set(shlex.split(command(record))[3:])
    assert {"method=magnitude", "training=digits", "keep=0.0625", "threads=1"} <= said
    assert not [override for override in said if override.startswith(("training.", "schedule.", "model."))]


def test_it_takes_settings_of_every_kind():
    overrides = [
        "dataset=parquet",
        "dataset.name=1 name, it's mine",
        "dataset.root=/some where/else",
        "until=stable",
        "until.confidence=0.99",
        "compression=[low_rank,int8_static]",
        "compression.low_rank.network.energy=0.8",
        "training.recovery.optimizer.lr=1e-05",
        "model.network.hidden=[7,5]",
        "analysis=[game]",
        "++method.extra={a:1,b:[x,null]}",
    ]
    quoted = [
        o if " " not in o else f"{o.split('=')[0]}='{o.split('=', 1)[1]}'".replace("it's", r"it\'s") for o in overrides
    ]
    schema.register()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = OmegaConf.to_container(compose("run", quoted), resolve=True, enum_to_str=True)
    choices = {"dataset": config["dataset"]["name"], "model": "mlp", "training": "default", "method": "shapley"}
    lists = {"compression": "low_rank+int8_static", "export": "none", "analysis": "game"}
    record = {"sweep": "mine", "config": config, "choices": choices | lists, "seed": 0, "budget": {"keep": 0.5}}
    assert run_parts(composed(command(record))) == run_parts(config)
