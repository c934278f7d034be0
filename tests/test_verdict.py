"""Shapley values against their rivals: signs, means and counts follow from the records."""

import pytest

from benchmarks import verdict
from benchmarks.forest import forest
from tests.synthetic import golden, record, write

KEEPS = (0.5, 0.25)


def runs(method: str, *accuracies: float, **choices):
    """A record for each accuracy, with seeds 0, 1, …, the same at both budgets."""
    return [
        record(method, keep, seed, accuracy=value, **choices) for keep in KEEPS for seed, value in enumerate(accuracies)
    ]


def against(rival: str, *accuracies: float, folder):
    write(folder / "mine", [*runs("shapley", 0.80, 0.82, 0.84), *runs(rival, *accuracies)])
    [found] = verdict.verdict(folder).to_dict("records")
    return found


@pytest.mark.parametrize(
    ("accuracies", "sign"), [((0.70, 0.73, 0.74), 1), ((0.90, 0.91, 0.94), -1), ((0.90, 0.72, 0.84), 0)]
)
def test_a_sign_is_given_beyond_the_interval_only(accuracies, sign, tmp_path):
    found = against("magnitude", *accuracies, folder=tmp_path)
    assert (found["sign"], found["n"], found["rival"]) == (sign, 3, "magnitude")
    assert (abs(found["difference"]) > found["difference_ci95"]) == bool(sign)
    assert ("**" in verdict.markdown(verdict.verdict(tmp_path))) == bool(sign)


def test_a_difference_is_that_of_areas_of_the_same_seeds(tmp_path):
    found = against("taylor", 0.70, 0.72, folder=tmp_path)  # a third seed without partner is not counted
    removed = (0.5, 0.75)  # the first half is a line from the dense network, so a constant gap counts half there
    assert found["difference"] == pytest.approx(10 * (removed[0] / 2 + removed[1] - removed[0]) / removed[1])
    assert found["n"] == 2


def test_one_seed_says_nothing_of_chance(tmp_path):
    found = against("random", 0.10, folder=tmp_path)
    assert (found["sign"], found["n"]) == (0, 1)
    forest(verdict.verdict(tmp_path), verdict.RIVALS).canvas.draw()


def test_all_rivals_are_counted_and_controls_have_no_column(tmp_path):
    others = {"lamp": (0.1, 0.1, 0.1), "fpgm": (0.9, 0.9, 0.9), "hrank": (0.9, 0.7, 0.83)}
    rivals = [run for name, accuracies in others.items() for run in runs(name, *accuracies)]
    write(tmp_path / "mine", [*runs("shapley", 0.81, 0.82, 0.83), *rivals])
    text = verdict.markdown(verdict.verdict(tmp_path))
    assert "| 1 1 1 " in text and "lamp" not in text


def test_only_sweeps_in_which_they_meet_count(tmp_path):
    write(tmp_path / "alone", runs("shapley", 0.8, 0.9))
    write(tmp_path / "without", [*runs("magnitude", 0.8), *runs("random", 0.8)])
    assert verdict.write(tmp_path) == "" and not (tmp_path / "verdict.md").exists()


def test_everything_is_written_and_a_figure_has_a_line_for_each_network(tmp_path):
    write(tmp_path / "mine", golden())
    text = verdict.write(tmp_path)
    assert (tmp_path / "verdict.md").read_text() == text and "digits · convnet" in text and "digits · mlp" in text
    assert {path.name for path in tmp_path.glob("verdict.*")} == {
        f"verdict.{f}" for f in ("md", "csv", "png", "pdf", "svg")
    }
    figure = forest(verdict.verdict(tmp_path), verdict.RIVALS)
    assert [axes.get_title() for axes in figure.axes] == [
        f"Shapley − {name}" for name in ("magnitude", "gradual", "random")
    ]
    assert all(len(axes.get_yticks()) == 2 for axes in figure.axes)
