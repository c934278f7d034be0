"""Published numbers beside ours: the verdict follows from the records."""

import pandas as pd
import pytest
import yaml

from benchmarks import reproductions
from benchmarks.reproductions import PUBLISHED, measured, verdict
from tests.synthetic import record, write

CLAIM = {"claim": "order", "published": {"shapley": 3.0, "magnitude": 2.0, "random": 1.0}, "sweep": "mine", "keep": 0.5}


def ours(**qualities: float) -> pd.DataFrame:
    return pd.DataFrame({"quality": qualities}).assign(leads=1, panels=2)


def test_an_order_is_reproduced_or_not():
    assert verdict(CLAIM, ours(shapley=90, magnitude=80, random=70)) == (
        "order reproduced: shapley leads (in 1 of 2), rank correlation 1.00"
    )
    assert verdict(CLAIM, ours(shapley=80, magnitude=90, random=70)).startswith("order not reproduced: magnitude leads")
    lower = {**CLAIM, "lower": True}
    assert verdict(lower, ours(shapley=70, magnitude=80, random=90)).startswith("order reproduced: random leads")


def test_what_cannot_be_compared_says_why():
    assert verdict(CLAIM, ours(shapley=90)) == "not comparable: magnitude, random not run"
    assert verdict({**CLAIM, "incomparable": "other data"}, ours(shapley=90)) == "not comparable: other data"


def test_our_numbers_are_means_over_panels_with_intervals_over_seeds(tmp_path):
    accuracies = {("mlp", 0): 0.8, ("convnet", 0): 0.9, ("mlp", 1): 0.7, ("convnet", 1): 0.8}
    found = [record("magnitude", model=m, seed=seed, accuracy=a) for (m, seed), a in accuracies.items()]
    alone = record("magnitude", model="mlp", seed=2, accuracy=0.1)  # without the other panel
    write(tmp_path / "mine", [*found, alone])
    row = measured(CLAIM, tmp_path).loc["magnitude"]
    assert (row["quality"], row["n"]) == (pytest.approx(80), 2)
    row = measured({**CLAIM, "where": {"model": "mlp"}}, tmp_path).loc["magnitude"]
    assert (row["quality"], row["n"]) == (pytest.approx(100 * (0.8 + 0.7 + 0.1) / 3), 3)
    others = [record("random", model=m, accuracy=a) for m, a in (("mlp", 0.9), ("convnet", 0.1))]
    write(tmp_path / "mine", others)
    leads = measured(CLAIM, tmp_path)
    assert dict(leads["leads"]) == {"magnitude": 1, "random": 1} and (leads["panels"] == 2).all()
    assert measured(CLAIM, tmp_path / "nowhere").empty
    assert measured({**CLAIM, "where": {"model": "vit"}}, tmp_path).empty
    assert "not run" in reproductions.reproductions(tmp_path)


def test_every_claim_has_its_source_and_an_experiment_of_ours():
    for claim in yaml.safe_load(PUBLISHED.read_text()):
        assert claim["source"] and claim["published"] and {"claim", "sweep", "keep"} <= claim.keys()
