"""Every experiment in conf runs from end to end in its smallest form: 200 examples, one epoch."""

from pathlib import Path

import pytest

from benchmarks import records

ALONE = ["hydra/launcher=basic", "seed=0"]
NETWORKS = ["dataset=digits", "training=digits", "model=mlp"]
CASES = {
    "quickstart": ["model=mlp", "method=shapley,magnitude", *ALONE, "estimator.samples=1"],
    "curves": [*NETWORKS, "method=taylor,magnitude", "seed=0"],
    "curves_layers": [*NETWORKS, "method=magnitude", "layer=1,3", "seed=0"],
    "low_data": [*NETWORKS, "method=shapley,gradual", "seed=0", "training.frequency=1"],
    "main": [*NETWORKS, "method=magnitude,random"],  # of both seeds
    "aggregation": ["model=mlp", "worth=accuracy", "aggregate=mean,mean_abs", *ALONE, "estimator.samples=1"],
    "estimators": ["model=mlp", "estimator=permutation", "estimator.samples=1,2", *ALONE],
    "estimators_reference": ["model=mlp", "estimator.samples=2", *ALONE],
    "steps": ["model=mlp", "seed=0", "estimator.samples=1", "compression=[int8_dynamic]"],
    "tasks": ["task=reconstruction", "dataset=digits", "training=digits", "method=magnitude", "seed=0"],
    "resnet56": [*NETWORKS, "method=fpgm", "seed=0"],
    "deployment": [*NETWORKS, "compression=int8_dynamic", "seed=0"],
    "deployment_text": ["task=image_classification", *NETWORKS, "seed=0"],
}


def test_every_experiment_has_a_case():
    of_its_own = {"tuning"}  # a search, which reports no table: tests/test_search.py
    assert set(CASES) | of_its_own == {path.stem for path in Path("conf/experiment").glob("*.yaml")}


@pytest.mark.parametrize("experiment", CASES)
def test_it_runs_and_reports(experiment, command, tmp_path):
    code, said = command(f"experiment={experiment}", "profile=smoke", *CASES[experiment], "keep=[0.5]")
    [folder] = (path.parent for path in tmp_path.glob("*/records"))
    found = records.load(folder)
    assert code == 0, said
    assert found and all(record["budget"]["achieved"] <= 0.5 for record in found)
    assert (folder / "tradeoff.md").exists() and f"{len(found)} run" in said
