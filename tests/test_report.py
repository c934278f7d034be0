"""A sweep's folder becomes tables and figures, the same ones every time, or one line that says why not."""

import json
import signal
import subprocess
import sys
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.image import imread

from benchmarks import figures
from benchmarks.frame import frame
from benchmarks.report import FORMS, main, report
from benchmarks.tables import tradeoff
from tests.synthetic import QUALITY, golden, record, write

FIGURES = [f"{name}.{form}" for name in ("tradeoff", "speedup") for form in figures.FORMS]
TABLES = [f"{name}.{form}" for name in ("tradeoff",) for form in FORMS]
FILES = (*TABLES, *FIGURES)
ROOT = Path(__file__).parents[1]
OTHERS = ("step_4_ranking", "step_5_pruning", "step_6_recovery", "correlation", "price")


def test_the_report_is_written_beside_the_records_and_returned(tmp_path):
    folder = write(tmp_path / "demo", golden())
    text = report(folder)
    assert text == "\n".join((folder / f"{name}.md").read_text() for name in ("tradeoff", "areas"))
    assert text.startswith("# Quality against size: demo\n")
    assert "72 runs, 3 seeds. Measured on Example CPU @ 2.0 GHz (AVX2), 1 thread, torch 2.14.1." in text
    assert {path.name for path in folder.iterdir() if path.is_file()} == {
        *FILES,
        *(f"areas.{form}" for form in FORMS),
        *(f"{name}.{form}" for name in OTHERS for form in figures.FORMS),
    }  # nothing temporary
    assert imread(folder / FIGURES[0]).shape[0] > 500


def test_the_same_records_give_the_same_bytes(tmp_path):
    one, two = (write(tmp_path / place / "demo", golden()[:24]) for place in ("one", "two"))
    assert report(one) == report(two)
    for path in filter(Path.is_file, one.iterdir()):
        assert path.read_bytes() == (two / path.name).read_bytes(), path.name


def test_every_machine_is_named(tmp_path):
    other, old = record(seed=1), record(seed=2)
    other["machine"] |= {"cpu": "Other CPU", "threads": 8}
    del old["machine"]["instructions"]
    text = report(write(tmp_path / "demo", [record(), other, old]))
    assert (
        "on Example CPU @ 2.0 GHz (AVX2), 1 thread, torch 2.14.1; Example CPU @ 2.0 GHz, 1 thread, torch 2.14.1; "
        in text
    )
    assert "; Other CPU (AVX2), 8 threads, torch 2.14.1.\n" in text


def test_failed_runs_are_counted_unless_they_succeeded_since(tmp_path):
    failed = (("aaa", "loss is nan"), ("bbb", "no network"), (record()["id"], "old"))
    folder = write(tmp_path / "demo", [record()], tuple({"id": name, "error": error} for name, error in failed))
    assert "**2 runs failed, missing here; the first error: loss is nan**" in report(folder)


def test_main_prints_the_table_and_what_was_written(tmp_path, capsys):
    write(tmp_path / "demo", [record()])
    assert main(["demo", "--results", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert "shapley" in printed
    assert all(str(tmp_path / "demo" / name) in printed for name in FILES)


def test_all_makes_the_report_of_every_sweep(tmp_path, capsys):
    for name in ("one", "two"):
        write(tmp_path / name, [record()])
    assert main(["all", "--results", str(tmp_path)]) == 0
    assert all((tmp_path / name / file).exists() for name in ("one", "two") for file in FILES)


def test_it_says_whether_runs_compare_and_who_leads(tmp_path):
    text, page = report(write(tmp_path / "demo", golden())), (tmp_path / "demo" / "tradeoff.html").read_text()
    for told in ("Fair: runs of the same data set", "Average ranks by accuracy"):
        assert told in text and told in page
    assert page.count("<table") == 2 and "<script" not in page


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("demmo", "'demmo' is not a sweep in {results}: choose demo, empty"),
        ("empty", "{results}/empty has no records: run its sweep first"),
        ("failed", "{results}/failed has no records: 1 run failed, missing here; the first error: no network"),
        ("corrupt", "{results}/corrupt/records/x.json is not a record"),
    ],
)
def test_what_cannot_be_reported_is_told_in_one_line(name, message, tmp_path, capsys):
    write(tmp_path / "demo", [record()])
    write(tmp_path / "empty", [])
    if name == "failed":
        write(tmp_path / name, [], ({"id": "aaa", "error": "no network"},))
    if name == "corrupt":
        write(tmp_path / name, [])
        (tmp_path / name / "records" / "x.json").write_text("{")
    assert main([name, "--results", str(tmp_path)]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.count("\n") == 1
    assert told.err.startswith("error: " + message.format(results=tmp_path))


def test_no_sweeps_at_all(tmp_path, capsys):
    assert main(["demo", "--results", str(tmp_path)]) == 2
    assert "it has none, python -m benchmarks.run makes them" in capsys.readouterr().err


def test_a_failed_report_leaves_the_old_one(tmp_path):
    folder = write(tmp_path / "demo", [record()])
    report(folder)
    before = {name: (folder / name).read_bytes() for name in FILES}
    (folder / "records" / "broken.json").write_text(json.dumps({"id": "another"}))
    with pytest.raises(ValueError, match="broken.json is not a record"):
        report(folder)
    assert before == {name: (folder / name).read_bytes() for name in FILES}


def test_the_figure_has_a_panel_for_each_model_and_a_line_for_each_method():
    figure = figures.tradeoff(tradeoff(frame(golden())))
    assert [axes.get_title() for axes in figure.axes] == ["digits · convnet", "digits · mlp"]
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == ["shapley", "magnitude", "random", "gradual", "Pareto front", "dense"]
    assert all(len(axes.containers) == 4 for axes in figure.axes)
    points = figure.axes[0].containers[0].lines[0]
    table = tradeoff(frame(golden()))
    shapley = table[(table["model"] == "convnet") & (table["label"] == "shapley")]
    assert list(points.get_ydata()) == list(shapley["quality"])


KILLED = """
import os, signal, sys
from benchmarks import records, report

replace, left = os.replace, int(sys.argv[2])

def killed(*paths):
    global left
    left -= 1
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    replace(*paths)

os.replace = killed
report.main(["all", "--results", sys.argv[1]])
"""


@pytest.mark.parametrize("files", [2, 9])
def test_a_report_that_is_killed_leaves_whole_files_and_the_next_one_makes_all(files, tmp_path):
    write(tmp_path / "demo", [record()])
    main(["all", "--results", str(tmp_path)])
    whole = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    for path in [path for path in whole if path.parent.name != "records"][::2]:
        path.write_bytes(b"older")
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path), str(files)], cwd=ROOT)
    assert done.returncode == -signal.SIGKILL
    assert all(path.read_bytes() in (content, b"older") for path, content in whole.items())
    main(["all", "--results", str(tmp_path)])
    assert all(path.read_bytes() == content for path, content in whole.items())


@pytest.mark.slow
def test_two_thousand_records_make_tables_figures_and_the_page(tmp_path):
    methods = [*QUALITY, *(f"method_{number}" for number in range(16))]
    models, keeps = ("mlp", "convnet", "lenet5", "vit", "lstm"), (0.5, 0.25, 0.125, 0.0625)
    found = [record(m, k, s, model) for model in models for m in methods for k in keeps for s in range(5)]
    assert len(found) == 2000
    write(tmp_path / "demo", found)
    assert main(["all", "--results", str(tmp_path)]) == 0
    table = pd.read_csv(tmp_path / "demo" / "tradeoff.csv").set_index(["model", "label", "keep"])
    of = [one["pruned"]["accuracy"] for one in found if _cell(one) == ("vit", "method_7", 0.125)]
    row = table.loc[("vit", "method_7", 0.125)]
    assert (row["n"], row["quality"]) == (5, pytest.approx(100 * np.mean(of), rel=1e-5))
    leaders = pd.read_csv(tmp_path / "demo" / "areas.csv")
    assert len(leaders) == 100 and set(leaders["n"]) == {5} and leaders["rank"].between(1, 20).all()
    assert (tmp_path / "index.html").stat().st_size < 15e6


def _cell(one: dict) -> tuple:
    return one["choices"]["model"], one["choices"]["method"], one["budget"]["keep"]


def test_a_panel_may_have_none_of_the_foremost():
    foremost = [record(f"good_{i}", model="mlp", accuracy=0.9) for i in range(8)]
    rest = [record(f"poor_{i}", accuracy=0.2) for i in range(2)]
    assert len(figures.tradeoff(tradeoff(frame([*foremost, *rest]))).axes) == 2


def test_of_many_methods_the_foremost_have_lines_of_their_own():
    names = ["shapley", "magnitude", "random", *(f"m{i:02}" for i in range(12))]
    found = [record(name, accuracy=0.5 + i / 100, seed=seed) for i, name in enumerate(names) for seed in (0, 1)]
    figure = figures.tradeoff(tradeoff(frame(found)))
    shown = [text.get_text() for text in figure.legends[0].get_texts()]
    own = ["shapley", "magnitude", "random", "m07", "m08", "m09", "m10", "m11"]
    assert shown == [*own, "7 others", "Pareto front", "dense"]


def test_points_of_one_budget_do_not_reach_those_of_the_next():
    names = ["shapley", "magnitude", "random", *(f"m{i}" for i in range(5))]
    runs = product(names, (0.99, 0.98), (0, 1))
    found = [record(name, keep=keep, accuracy=keep, seed=seed) for name, keep, seed in runs]
    [axes] = figures.tradeoff(tradeoff(frame(found))).axes
    mild, strong = zip(*(sorted(bars.lines[0].get_xdata()) for bars in axes.containers), strict=True)
    assert len(mild) == len(names) and max(mild) < min(strong)
