"""The page of all results holds what the records say, and works in a browser without a network."""

import json
import re
import shutil
from pathlib import Path

import pytest

from benchmarks import records
from benchmarks.dashboard import dashboard, main
from benchmarks.frame import frame
from benchmarks.report import main as report
from benchmarks.statistics import mean_interval
from tests.synthetic import golden, record, write
from tests.test_shipped import exported

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def content(path: Path) -> dict:
    [text] = re.findall(r'<script id="data" type="application/json">(.*?)</script>', path.read_text(), re.DOTALL)
    return json.loads(text)


def test_every_number_of_a_run_is_its_records(tmp_path):
    found = records.load(write(tmp_path / "demo", golden()))
    held = content(dashboard(tmp_path))
    rows = frame(found)
    names = held["columns"]["label"]
    assert [names["values"][code] for code in names["codes"]] == list(rows["label"])
    for name in ("keep", "achieved", "quality", "unrecovered", "speedup_macs", "speedup_latency_64", "scoring_seconds"):
        assert held["columns"][name] == pytest.approx(list(rows[name]), rel=1e-5)
    for one, told in zip(found, held["runs"], strict=True):
        assert {section: held["pool"][place] for section, place in told["config"].items()} == one["config"]
        assert told["command"] == one["command"]
        assert held["pool"][told["machine"]] == one["machine"] and held["pool"][told["commit"]] == one["commit"]
        assert [told["rounds"][0]["widths"]] == [[len(kept) for kept in one["rounds"][0]["kept"].values()]]
        assert told["rounds"][0]["before"] == pytest.approx(one["rounds"][0]["before"], rel=1e-4)
        assert held["pool"][told["groups"]] == {"0": 8, "2": 12}


def test_a_page_of_many_runs_stays_small(tmp_path):
    write(tmp_path / "demo", golden())
    held = len(json.dumps(content(dashboard(tmp_path))))
    assert held / len(golden()) < 2500  # characters; a record has ten times more


def test_sweeps_that_cannot_be_read_and_names_that_end_scripts_are_told(tmp_path):
    bad = record()
    bad["machine"]["cpu"] = "</script><b>"
    write(tmp_path / "demo", [bad], ({"id": "aaa", "error": "no network"},))
    write(tmp_path / "broken", [])
    (tmp_path / "broken" / "records" / "x.json").write_text("{")
    write(tmp_path / "empty", [])
    held = content(dashboard(tmp_path))
    told = {sweep["name"]: sweep["problem"] for sweep in held["sweeps"]}
    assert "x.json is not a record" in told["broken"] and "1 failed; the first error: no network" in told["demo"]
    assert told["empty"] == "no records yet" and len(held["runs"]) == 1


def test_a_report_makes_the_page_and_a_command_makes_it_alone(tmp_path, capsys):
    write(tmp_path / "demo", [record()])
    assert report(["all", "--results", str(tmp_path)]) == 0
    page = tmp_path / "index.html"
    assert str(page) in capsys.readouterr().out and content(page)["sweeps"][0]["files"]["tradeoff"][-1] == "svg"
    page.unlink()
    assert main(["--results", str(tmp_path)]) == 0 and page.exists()
    assert main(["--results", str(tmp_path / "nowhere")]) == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Two sweeps, one of which ships files and has its report."""
    folder = tmp_path_factory.mktemp("results")
    write(folder / "demo", golden())
    write(folder / "ship", [{**exported(seed), "sweep": "ship"} for seed in range(2)])
    report(["ship", "--results", str(folder)])
    return folder


RESET = """() => {
    for (const [name] of FACETS) shut[name].clear();
    Object.assign(state.table, { by: null, down: false });
    for (const choice of document.querySelectorAll("select")) {
        choice.selectedIndex = 0;
        choice.dispatchEvent(new Event("change"));
    }
    refresh();
}"""


@pytest.fixture(scope="module")
def opened(results):
    """The page in a browser; there must be neither errors nor requests for anything but files."""
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("there is no Chromium")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page, problems, asked = browser.new_page(viewport={"width": 1400, "height": 900}), [], []
        page.set_default_timeout(120_000)  # where others use the processor
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
        page.on("request", lambda request: asked.append(request.url))
        page.goto((results / "index.html").as_uri())
        page.wait_for_selector("#plot .main-svg")
        yield page, problems, asked
        browser.close()


@pytest.fixture
def page(opened):
    """The same, as it was when it was opened."""
    page, problems, asked = opened
    page.evaluate("location.hash = ''")
    page.wait_for_selector("#overview")  # which has no width while the page of a run is shown
    page.evaluate(RESET)
    page.wait_for_selector("#plot .main-svg")
    yield page
    assert problems == []
    assert [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []


def traces(page) -> dict[str, list]:
    """Names and points of what is drawn in all panels, without the dense networks and the fronts."""
    found = page.evaluate("document.getElementById('plot').data.map(t => [t.name, t.x.length, t.y])")
    return [(name, n, y) for name, n, y in found if name not in ("dense (test)", "Pareto front")]


def test_filters_change_what_is_shown(page):
    assert page.inner_text("#count") == "74 of 74 runs, in 2 sweeps"
    assert len(traces(page)) == 9 and "random" in page.inner_text("#table")
    page.locator("label[data-facet=method][data-choice=random] input").uncheck()
    assert page.inner_text("#count") == "56 of 74 runs, in 2 sweeps"
    assert len(traces(page)) == 7 and "random" not in page.inner_text("#table")
    page.locator("label[data-facet=model][data-choice=mlp] input").uncheck()
    page.locator("label[data-facet=sweep][data-choice=ship] input").uncheck()
    assert [name for name, _, _ in traces(page)] == ["shapley", "magnitude", "gradual"]
    assert page.locator("#sweeps h3").all_inner_texts() == ["demo"]
    page.get_by_role("button", name="none of Method").click()
    assert page.inner_text("#count").startswith("0 of 74") and "Nothing is ticked" in page.inner_text("#said")
    page.get_by_role("button", name="all of Method").click()
    assert page.inner_text("#count") == "36 of 74 runs, in 1 sweep"


def test_points_are_means_with_intervals_or_single_runs(page):
    page.locator("label[data-facet=sweep][data-choice=ship] input").uncheck()
    page.locator("label[data-facet=model][data-choice=mlp] input").uncheck()
    values = [
        100 * one["pruned"]["accuracy"]
        for one in golden()
        if (one["choices"]["model"], one["choices"]["method"], one["budget"]["keep"]) == ("convnet", "shapley", 0.25)
    ]
    mean, half = mean_interval(values)
    drawn = "document.getElementById('plot').data.find(t => t.name === 'shapley')"
    assert page.evaluate(f"{drawn}.y[1]") == pytest.approx(mean, abs=1e-3)
    assert page.evaluate(f"{drawn}.error_y.array[1]") == pytest.approx(half, abs=1e-3)
    assert page.locator("#table tbody tr").count() == 12
    page.select_option("#points", "runs")
    assert page.evaluate(f"{drawn}.type") == "scattergl" and [n for _, n, _ in traces(page)] == [9] * 4
    page.select_option("#gain", label="cost of scoring (seconds)")
    assert page.evaluate(f"{drawn}.x[0]") == 1.9
    page.select_option("#kind", "runs")
    assert page.locator("#table tbody tr").count() == 36


def test_a_row_and_a_point_lead_to_the_page_of_a_run(page):
    page.select_option("#kind", "runs")
    one = golden()[0]
    page.locator(f"#table a[href='#run/demo/{one['id']}']").first.focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("#command")
    text = page.inner_text("#page")
    assert page.inner_text("#command") == one["command"]
    for told in (one["id"], "Example CPU @ 2.0 GHz", "abc1234", "method.criterion._target_", '"methods.shapley"'):
        assert told in text
    assert "round 1" in text and f"{100 * one['rounds'][0]['before']:.1f}" in text
    page.go_back()
    page.wait_for_selector("#page", state="hidden")
    assert page.locator("#plot").is_visible()
    page.select_option("#points", "runs")
    fire = "document.getElementById('plot').emit('plotly_click', {points: [{customdata: DATA_OF_POINT}]})"
    target = page.evaluate("document.getElementById('plot').data.find(t => t.type === 'scattergl').customdata[0]")
    page.evaluate(fire.replace("DATA_OF_POINT", json.dumps(target)))
    page.wait_for_selector("#command")
    assert page.url.endswith(target)


def test_a_mouse_on_a_mean_opens_its_runs(page):
    page.locator("#plot").scroll_into_view_if_needed()
    point = page.locator("#plot .scatterlayer .points path").first
    box = point.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2, steps=4)
    page.wait_for_selector("#plot .hovertext")
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.wait_for_selector("#page tbody tr")
    assert "#cell/" in page.url and page.locator("#page tbody tr").count() in (2, 3)
    page.locator("#page tbody a").first.click()
    page.wait_for_selector("#command")
    page.reload()  # the address of a run is that of its page
    page.wait_for_selector("#command")


def test_links_lead_to_files_and_what_is_shown_is_downloaded(page, tmp_path):
    links = page.evaluate("[...document.querySelectorAll('#sweeps a')].map(a => decodeURIComponent(a.href))")
    assert len(links) > 25 and all(Path(link.removeprefix("file://")).is_file() for link in links)
    assert any(link.endswith("ship/shipped.html") for link in links)
    page.evaluate("document.querySelector('#sweeps').scrollIntoView()")
    page.wait_for_function("[...document.images].some(image => image.complete && image.naturalWidth > 100)")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download as CSV").click()
    download.value.save_as(tmp_path / "shown.csv")
    lines = (tmp_path / "shown.csv").read_text().splitlines()
    assert len(lines) == 1 + page.locator("#table tbody tr").count() and "test %,test % ± 95 %" in lines[0]


def test_columns_sort_by_the_keyboard_and_rows_come_page_by_page(page):
    page.select_option("#kind", "runs")
    assert page.locator("#table tbody tr").count() == 50 and page.inner_text("#places").split() == [
        "←",
        "1",
        "of",
        "2",
        "→",
    ]
    page.get_by_role("button", name="next rows").click()
    assert page.locator("#table tbody tr").count() == 24
    page.locator("#table thead button", has_text="test %").focus()
    page.keyboard.press("Enter")
    column = page.locator("#table thead th").all_inner_texts().index("test % ▾")
    cells = [float(row.split("\t")[column]) for row in page.locator("#table tbody tr").all_inner_texts()]
    assert cells == sorted(cells, reverse=True) and len(cells) == 50
    assert page.locator("#table th[aria-sort=descending]").count() == 1
    unnamed = page.evaluate("[...document.querySelectorAll('select, input')].filter(e => !e.labels.length).length")
    assert unnamed == 0
