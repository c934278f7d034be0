"""Figures and numbers of many runs: fronts, areas under curves, rank correlations, recovery epoch by epoch."""

from copy import deepcopy

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import comparisons
from benchmarks.areas import areas, curves, table
from benchmarks.bench.figures import errors
from benchmarks.figures import pareto
from benchmarks.frame import frame
from benchmarks.ranks import ranks
from benchmarks.statistics import critical_difference, mean_interval
from benchmarks.typesetting import markdown
from tests.synthetic import QUALITY, golden, record
from tests.test_pipeline import record_of

points = st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), min_size=1, max_size=12)


@given(points)
def test_a_front_is_what_no_other_point_surpasses(found):
    front = set(zip(*pareto(*zip(*found, strict=True)), strict=True))
    for point in found:
        better = any(other != point and other[0] >= point[0] and other[1] >= point[1] for other in found)
        assert (point in front) != better


def test_a_straight_line_has_the_mean_of_its_ends_as_area():
    records = [record(keep=keep, accuracy=0.975 - 0.4 * (1 - keep)) for keep in (0.75, 0.5)]
    for one in records:
        one["dense"]["accuracy"] = 0.975
    [found] = areas(curves(frame(records))).to_dict("records")
    assert found["area"] == pytest.approx(100 * (0.975 + 0.775) / 2)
    assert (found["n"], found["scoring_seconds"]) == (1, 1.9)


def test_areas_are_means_over_seeds_that_have_every_budget():
    records = golden()
    whole = areas(curves(frame(records)))
    assert set(whole["n"]) == {3} and len(whole) == 8 and (whole["area_ci95"] > 0).all()
    lacking = areas(curves(frame([one for one in records if (one["seed"], one["budget"]["keep"]) != (2, 0.25)])))
    assert set(lacking["n"]) == {2}
    assert areas(curves(frame(records[:1]))).empty


def leaders(accuracies: dict[str, tuple[float, ...]]) -> dict[str, dict]:
    """Rows of the table by method, for curves that are flat at each seed's accuracy, below a dense network at 1."""
    records = [
        record(method, keep, seed, accuracy=accuracy)
        for method, found in accuracies.items()
        for seed, accuracy in enumerate(found)
        for keep in (0.5, 0.25)
    ]
    for one in records:
        one["dense"]["accuracy"] = 1.0
    return {row["label"]: row for row in areas(curves(frame(records))).to_dict("records")}


def test_every_cell_of_the_table_of_areas_is_what_it_says():
    found = leaders({"shapley": (0.9, 0.8, 0.85), "magnitude": (0.6, 0.55, 0.5), "random": (0.1, 0.02)})

    def area(accuracy: float) -> float:
        """A trapezium from 1 at nothing removed to half removed, then a rectangle to three quarters."""
        return 100 * (0.5 * (1 + accuracy) / 2 + 0.25 * accuracy) / 0.75

    values = [area(a) for a in (0.9, 0.8, 0.85)]
    assert (found["shapley"]["area"], found["shapley"]["area_ci95"]) == pytest.approx(mean_interval(values))
    gains = [area(a) - area(b) for a, b in ((0.9, 0.6), (0.8, 0.55), (0.85, 0.5))]
    told = found["shapley"]["difference"], found["shapley"]["difference_ci95"]
    assert told == pytest.approx(mean_interval(gains))
    assert [found[m]["rank"] for m in ("shapley", "magnitude", "random")] == [1, 2, 3]
    assert [found[m]["n"] for m in found] == [3, 3, 2] and found["random"]["pairs"] == 2
    assert found["shapley"]["best"] and not any(row["tied"] for row in found.values())
    assert (found["shapley"]["evaluations"], found["magnitude"]["pairs"]) == (2240, 0)


def test_areas_that_cannot_be_told_apart_are_tied():
    found = leaders({"shapley": (0.9, 0.7, 0.8), "magnitude": (0.7, 0.9, 0.79)})
    assert all(row["tied"] and not row["best"] for row in found.values())


def test_a_method_that_lacks_a_budget_of_every_seed_is_missing():
    records = [one for one in golden() if (one["choices"]["method"], one["budget"]["keep"]) != ("random", 0.25)]
    found = areas(curves(frame(records)))
    lacking = found[found["label"] == "random"]
    assert set(lacking["n"]) == {0} and not lacking["best"].any() and set(found["label"]) == set(QUALITY)
    text = markdown(table(found))
    lines = [line for line in text.splitlines() if "| random " in line]
    assert len(lines) == 2 and all("missing" in line for line in lines) and "nan" not in text


def test_average_ranks_of_areas_are_over_panels():
    found = curves(frame(golden()))
    [sentence] = ranks(found, ["dataset", "model"])
    assert "n = 2 cells" in sentence and f"less than {critical_difference(4, 2):.2f} apart" in sentence


def of(scores: list[float], method: str, seed: int = 0) -> dict:
    one = record(method, seed=seed)
    return {**one, "rounds": [{**one["rounds"][0], "scores": {"0": scores, "small": [1.0, 2.0]}}]}


def correlations(records: list[dict]):
    return comparisons.correlations({one["id"]: one for one in records}, frame(records))


def test_correlation_is_of_ranks_over_groups_and_shared_seeds():
    found = correlations([of([1, 2, 3], "shapley"), of([10, 20, 90], "magnitude"), of([3, 2, 1], "random")])
    assert [found.loc["shapley", "magnitude"], found.loc["random", "random"]] == pytest.approx([1, 1])
    assert [found.loc["shapley", "random"], found.loc["random", "shapley"]] == pytest.approx([-1, -1])
    two = [
        of([1, 2, 3], "shapley", 0),
        of([1, 2, 3], "shapley", 1),
        of([1, 2, 3], "random", 0),
        of([3, 2, 1], "random", 1),
    ]
    assert correlations(two).loc["shapley", "random"] == pytest.approx(0)
    apart = correlations([of([1, 2, 3], "shapley", 0), of([1, 2, 3], "random", 1)])
    assert np.isnan(apart.loc["shapley", "random"])


def test_constant_scores_rank_nobody():
    assert correlations([of([1, 1, 1], "shapley"), of([1, 2, 3], "random")]).loc["shapley", "random"] == 0


def shown(records: list[dict]) -> dict:
    tidy = frame(records)
    return dict(comparisons.comparisons({r["id"]: r for r in records}, tidy, areas(curves(tidy)), records[0]["id"]))


def test_there_are_the_figures_that_there_are_numbers_for():
    assert list(shown(golden())) == ["step_6_recovery", "correlation", "price"]
    alone = {**record(), "recovery": {"dense": 0.9, "curve": []}}
    assert list(shown([alone])) == []


def test_recovery_is_drawn_from_the_removal_to_the_last_epoch():
    axes = shown([one for one in golden() if one["budget"]["keep"] == 0.25])["step_6_recovery"].axes[0]
    lines = {line.get_label(): line for line in axes.lines}
    assert set(lines) == {"shapley", "magnitude", "random", "gradual", "dense"}
    assert list(lines["shapley"].get_xdata()) == [0, 20, 40]
    ends = [
        r["rounds"][-1]["after"]
        for r in golden()
        if (r["choices"]["model"], r["choices"]["method"], r["budget"]["keep"]) == ("mlp", "shapley", 0.25)
    ]
    assert lines["shapley"].get_ydata()[-1] == pytest.approx(100 * np.mean(ends))


@pytest.mark.parametrize("schedule", ["one_shot", "gradual"])
def test_the_record_has_the_metric_after_every_epoch_and_looking_changes_nothing(schedule, tmp_path):
    options = [
        "method=magnitude",
        f"schedule={schedule}",
        "training.recovery.epochs=3",
        "accept.drop=-2",
        "accept.rounds=1",
    ]
    seen = record_of(tmp_path / "seen", *options)
    unseen = record_of(tmp_path / "unseen", *options, "watch=false")
    steps = seen["recovery"]["curve"][0][0]
    assert [step for step, _ in seen["recovery"]["curve"]] == [steps * epoch for epoch in range(1, 7)]
    assert seen["recovery"]["curve"][-1][1] == seen["rounds"][-1]["after"] != seen["recovery"]["dense"]
    assert unseen["recovery"]["curve"] == []
    squeezed = record_of(tmp_path / "squeezed", *options, "compression=low_rank")
    assert squeezed["recovery"] == seen["recovery"]  # what compression recovers is another network's
    same = [deepcopy(one["pruned"]) | {"latency": None} for one in (seen, unseen)]
    assert same[0] == same[1] and seen["id"] == unseen["id"]


def test_errors_are_drawn_where_every_game_was_asked():
    def race(group: str, samples: int, error: float) -> dict:
        runs = [{"error": error, "spearman": 1 - error}] * 2
        return {"network": "convnet", "group": group, "estimator": "permutation", "samples": samples, "runs": runs}

    figure = errors([race("0", 5, 0.4), race("4", 5, 0.2), race("0", 20, 0.1)])  # group 4 has reached the goal at 5
    line = figure.axes[0].lines[0]
    assert (list(line.get_xdata()), list(line.get_ydata())) == ([5], [pytest.approx(0.3)])
