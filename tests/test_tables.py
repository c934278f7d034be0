"""What is averaged together is alike, and what is written is what was measured."""

import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks import cells, tables, typesetting
from benchmarks.frame import frame
from benchmarks.statistics import mean_interval, paired_difference, paired_p
from tests.synthetic import golden, record

GOLDEN = Path(__file__).parent / "golden"


def labels(*records):
    return list(frame(records)["label"])


def row(table, label, keep=0.5):
    """The only row of a label."""
    [found] = table[(table["label"] == label) & (table["keep"] == keep)].to_dict("records")
    return found


def of(accuracies, method="shapley", **choices):
    """A record for each accuracy, with seeds 0, 1, …"""
    return [record(method, seed=seed, accuracy=value, **choices) for seed, value in enumerate(accuracies)]


def test_a_row_holds_the_numbers_of_its_record():
    one = record("shapley", 0.25, seed=3)
    [found] = frame([one]).to_dict("records")
    assert found["quality"] == one["pruned"]["accuracy"]
    assert found["unrecovered"] == one["rounds"][-1]["before"]
    assert found["drop"] == one["dense"]["accuracy"] - one["pruned"]["accuracy"]
    assert found["compression_ratio"] == 37866 / 9466
    assert found["speedup_macs"] == one["dense"]["macs"] / one["pruned"]["macs"]
    times = [np.median(one[network]["latency"]["64"]) for network in ("dense", "pruned", "control")]
    assert found["speedup_latency_64"] == times[0] / times[1]
    assert found["control_64"] == times[0] / times[2]
    assert {"schedule", "allocation", "granularity", "worth", "aggregate", "training"} <= set(found)


def test_a_method_alone_needs_no_more_than_its_name():
    assert labels(record("shapley"), record("gradual")) == ["shapley", "gradual"]


@pytest.mark.parametrize(
    ("axis", "one", "other"),
    [
        ("aggregate", "mean", "mean_abs"),
        ("schedule", "one_shot", "iterative"),
        ("granularity", "unit", "weight"),
        ("training", "digits", "long"),
        ("worth", "accuracy", "margin"),
        ("estimator", "permutation", "kernel"),
    ],
)
def test_what_differs_within_a_method_is_in_its_label(axis, one, other):
    found = frame([record(seed=0, **{axis: one}), record(seed=0, **{axis: other}), record("magnitude")])
    assert list(found["label"]) == [f"shapley · {axis}={one}", f"shapley · {axis}={other}", "magnitude"]
    assert set(tables.tradeoff(found)["n"]) == {1}


def test_an_option_that_differs_is_in_the_label():
    found = labels(record(samples=25), record(samples=50))
    assert found == ["shapley · estimator.samples=25", "shapley · estimator.samples=50"]


def test_a_difference_between_models_is_no_variant():
    found = labels(record(model="mlp", training="digits"), record(model="convnet", training="long"))
    assert found == ["shapley"] * 2


def test_an_axis_that_the_criterion_does_not_know_is_no_variant():
    found = labels(record("magnitude", worth="margin"), record("magnitude", seed=1, worth="accuracy"))
    assert found == ["magnitude"] * 2


def test_where_the_data_lie_is_no_variant():
    there = record(seed=1)
    there["config"]["dataset"]["root"] = "elsewhere"
    assert labels(record(seed=0), there) == ["shapley"] * 2


@pytest.mark.parametrize("part", ["choices", "config", "pruned", "cost"])
def test_a_record_that_lacks_something_is_named(part):
    broken = {key: value for key, value in record().items() if key != part}
    with pytest.raises(ValueError, match=f"record {broken['id']} lacks '{part}': delete it and run its sweep again"):
        frame([record("magnitude"), broken])


def test_a_run_that_is_there_twice_is_refused():
    with pytest.raises(ValueError, match="records .* and again are the same run under two names"):
        frame([record(), record() | {"id": "again"}])


def test_dense_networks_that_were_trained_differently_are_not_averaged():
    table = tables.tradeoff(frame([record(training="digits"), record(training="long")]))
    assert set(table[table["keep"] == 1]["label"]) == {"dense · training=digits", "dense · training=long"}


def test_dense_networks_from_different_files_are_not_averaged():
    found = [record(seed=seed, accuracy=0.9) for seed in (0, 1)]
    for one, digest in zip(found, ("abc", "def"), strict=True):
        one["config"]["checkpoint"] = {"name": "mine.pt", "sha256": digest}
    labels = tables.tradeoff(frame(found))["label"]
    assert sum(label.startswith("dense · checkpoint=") for label in labels) == 2


def test_what_follows_keep_is_no_variant_and_a_setting_of_that_name_is_one():
    def estimated(keep, follows):
        one = record(keep=keep, estimator="bandit")
        one["config"]["method"]["criterion"]["estimator"]["keep"] = follows
        return one | {"id": f"{keep}{follows}"}

    assert set(labels(estimated(0.5, 0.5), estimated(0.25, 0.25))) == {"shapley"}
    assert len(set(labels(estimated(0.5, 0.3), estimated(0.5, 0.4)))) == 2


@settings(max_examples=8)
@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=2, max_size=6))
def test_a_cell_is_its_mean_and_its_paired_difference(pairs):
    ours, theirs = np.array(pairs).T
    table = tables.tradeoff(frame(of(ours) + of(theirs, "magnitude")))
    found = row(table, "shapley")
    assert found["n"] == found["pairs"] == len(pairs)
    assert (found["quality"], found["quality_ci95"]) == pytest.approx(mean_interval(100 * ours), abs=1e-9)
    difference = paired_difference(100 * ours, 100 * theirs)
    assert (found["difference"], found["difference_ci95"]) == pytest.approx(difference, abs=1e-9)


@settings(max_examples=5)
@given(st.permutations(golden()[:12]))
def test_the_order_of_records_does_not_matter(records):
    assert typesetting.csv(tables.tradeoff(frame(records))) == typesetting.csv(tables.tradeoff(frame(golden()[:12])))


def test_a_missing_partner_leaves_the_difference_empty():
    table = tables.tradeoff(frame([record("shapley"), record("magnitude", keep=0.25)]))
    assert row(table, "shapley")["pairs"] == 0
    assert np.isnan(row(table, "shapley")["difference"])
    [line] = [line for line in typesetting.markdown(cells.table(table)).splitlines() if "0.5 | shapley" in line]
    assert line.split("|")[6].strip() == ""
    assert np.isnan(row(table, "magnitude", 0.25)["difference"])


def test_only_shared_seeds_are_paired_and_their_number_is_told():
    table = tables.tradeoff(frame(of([0.9, 0.91, 0.92]) + of([0.8, 0.82], "magnitude")))
    assert (row(table, "shapley")["n"], row(table, "shapley")["pairs"]) == (3, 2)
    assert row(table, "shapley")["difference"] == pytest.approx(9.5)
    assert "(2)" in typesetting.markdown(cells.table(table))


def test_each_variant_meets_the_magnitude_of_its_own_settings():
    shapley = [*of([0.95], schedule="one_shot"), *of([0.90], schedule="iterative")]
    magnitude = [*of([0.85], "magnitude", schedule="one_shot"), *of([0.88], "magnitude", schedule="iterative")]
    table = tables.tradeoff(frame(shapley + magnitude))
    assert row(table, "shapley · schedule=one_shot")["difference"] == pytest.approx(10)
    assert row(table, "shapley · schedule=iterative")["difference"] == pytest.approx(2)


@pytest.mark.parametrize(
    ("shapley", "magnitude", "best"),
    [
        ([0.95, 0.96, 0.97], [0.90, 0.91, 0.925], "shapley"),  # better with every seed
        ([0.99, 0.90, 0.93], [0.90, 0.95, 0.90], None),  # better on average, by chance
        ([0.95], [0.90], None),  # one seed shows nothing
    ],
)
def test_bold_is_who_beats_the_second_beyond_chance(shapley, magnitude, best):
    table = tables.tradeoff(frame(of(shapley) + of(magnitude, "magnitude")))
    assert list(table[table["best"]]["label"]) == ([best] if best else [])
    assert ("**shapley**" in typesetting.markdown(cells.table(table))) is (best == "shapley")
    assert ("\\textbf{shapley}" in typesetting.latex(cells.table(table))) is (best == "shapley")


def test_bold_compares_with_the_second_not_with_magnitude():
    close = of([0.95, 0.96, 0.97]) + of([0.95, 0.955, 0.97], "gradual") + of([0.5, 0.51, 0.52], "magnitude")
    assert not tables.tradeoff(frame(close))["best"].any()


def test_one_seed_has_no_interval_but_its_latency_does():
    found = row(tables.tradeoff(frame([record()])), "shapley")
    assert np.isnan(found["quality_ci95"])
    assert found["speedup_latency_1_ci95"] > 0


def test_masks_are_no_speed_up_and_no_smaller_file():
    table = tables.tradeoff(frame([record("magnitude", granularity="weight", keep=0.25)]))
    found = row(table, "magnitude", 0.25)
    assert (found["compression_ratio"], found["bytes_ratio"], found["speedup_macs"]) == (1, 1, 1)
    assert found["nonzero_compression_ratio"] == pytest.approx(4, rel=1e-3)
    assert "non-zero" in typesetting.markdown(cells.table(table))


def test_names_are_escaped_in_latex_only():
    variants = [record(aggregate=aggregate, model="vgg11_bn") for aggregate in ("mean_abs", "mean")]
    table = tables.tradeoff(frame(variants))
    assert "aggregate=mean\\_abs" in typesetting.latex(cells.table(table))
    assert "vgg11\\_bn, budget" in typesetting.latex(cells.table(table))
    assert "aggregate=mean_abs" in typesetting.markdown(cells.table(table))


def test_methods_are_listed_in_one_order():
    methods = ["taylor", "gradual", "leave_one_out", "random", "shapley", "magnitude"]
    table = tables.tradeoff(frame([record(method) for method in methods]))
    order = ["dense", "shapley", "magnitude", "random", "gradual", "leave_one_out", "taylor"]
    assert list(table["label"]) == order


def test_numbers_in_labels_are_listed_by_their_size():
    ordered = ["a · samples=4", "a · samples=16", "a · lr=1e-05", "a · lr=0.001", "a · lr=0.1"]
    assert tables.by_order(ordered[::-1]) == [*ordered[2:], *ordered[:2]]


def test_the_csv_holds_the_numbers_themselves():
    table = tables.tradeoff(frame(golden()))
    back = pd.read_csv(io.StringIO(typesetting.csv(table)))
    pd.testing.assert_frame_equal(back, table, check_dtype=False, rtol=1e-5)


@pytest.mark.parametrize("form", ["md", "tex", "csv"])
def test_tables_are_those_that_were_approved(form):
    table = cells.table(tables.tradeoff(frame(golden())))
    texts = {"md": typesetting.markdown(table), "tex": typesetting.latex(table), "csv": typesetting.csv(table.rows)}
    assert texts[form] == (GOLDEN / f"tradeoff.{form}").read_text()


def test_who_cannot_be_told_from_the_best_is_marked():
    close = of([0.95, 0.96, 0.97]) + of([0.95, 0.955, 0.97], "gradual") + of([0.5, 0.51, 0.52], "magnitude")
    table = tables.tradeoff(frame(close))
    assert set(table[table["tied"]]["label"]) == {"shapley", "gradual"}
    rows = {
        line.split("|")[2].strip(): line
        for line in typesetting.markdown(cells.table(table)).splitlines()
        if "| 0.5" in line[:12]
    }
    assert all(("≈" in line) is (label != "magnitude") for label, line in rows.items())
    assert "$\\approx$" in typesetting.latex(cells.table(table))


@pytest.mark.parametrize("alone", [0.5, 0.949, 0.999])
def test_one_seed_leads_nobody_and_leaves_nobody_behind(alone):
    """However good or bad: that it is worse was not tested, so nobody is best."""
    table = tables.tradeoff(frame(of([0.95, 0.96, 0.97]) + of([0.5, 0.51, 0.52], "magnitude") + of([alone], "gradual")))
    assert set(table[table["tied"]]["label"]) == {"shapley", "gradual"} and not table["best"].any()


def test_many_comparisons_are_corrected():
    """Each of three others is worse at p = 0.022 alone, which three comparisons make 0.066."""
    best, worse = [0.90, 0.91, 0.92, 0.93], [0.885, 0.903, 0.905, 0.924]
    assert paired_p(best, worse) == pytest.approx(0.022, abs=1e-3)
    alone = tables.tradeoff(frame(of(best) + of(worse, "magnitude")))
    assert list(alone[alone["best"]]["label"]) == ["shapley"]
    among = tables.tradeoff(frame([r for m in ("magnitude", "random", "gradual") for r in of(worse, m)] + of(best)))
    assert not among["best"].any() and among["tied"].sum() == 4


def test_what_was_not_run_is_shown_as_missing():
    found = [record("shapley", 0.5), record("shapley", 0.25), record("magnitude", 0.5)]
    table = tables.tradeoff(frame(found))
    assert row(table, "magnitude", 0.25)["n"] == 0
    [line] = [line for line in typesetting.markdown(cells.table(table)).splitlines() if "0.25 | magnitude" in line]
    assert "missing" in line and "nan" not in line
    assert len(table) == 5


def test_the_fraction_that_was_achieved_is_told():
    found = record(keep=0.5)
    assert row(tables.tradeoff(frame([found])), "shapley")["achieved"] == found["budget"]["achieved"]
    assert "0.500" in typesetting.markdown(cells.table(tables.tradeoff(frame([found]))))
