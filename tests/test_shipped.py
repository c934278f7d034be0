"""The table of what is shipped holds what was measured, of each file in its engine."""

from statistics import median

import numpy as np
import pandas as pd
import pytest

from benchmarks import report, shipped, typesetting
from benchmarks.frame import frame
from benchmarks.statistics import mean_interval
from tests.synthetic import record, write


def latency(scale: float, seed: int) -> dict:
    jitter = np.random.default_rng(seed)
    return {
        threads: {batch: list(scale * jitter.normal(1, 0.02, 9)) for batch in ("1", "64")} | {"contention": {"1": 0.0}}
        for threads in ("1", "2")
    }


def artefact(network: str, engine: str, scale: float, seed: int, **more) -> dict:
    row = {"network": network, "engine": engine, "difference": 0.0, "latency": latency(scale, seed)}
    sizes = {"accuracy": 0.9 - 0.01 * scale, "macs": int(1e6 * scale), "bytes": int(1000 * scale)}
    rest = {"coded_bytes": int(900 * scale), "peak_memory": 2_000_000, "joules": None}
    return row | ({} if network == "control" else sizes | rest) | more


def exported(seed: int = 0, **more) -> dict:
    """A record with a dense network, a control and a pruned one of half its cost, in two engines."""
    rows = [
        artefact(network, engine, scale * speed, 10 * seed + place, **more)
        for engine, speed in (("eager", 1.0), ("onnx", 0.5))
        for place, (network, scale) in enumerate((("dense", 1.0), ("control", 1.0), ("pruned", 0.5)))
    ]
    return {**record("magnitude", seed=seed), "artefacts": rows}


def table(records: list[dict]) -> pd.DataFrame:
    return shipped.shipped(records, frame(records))


def row(found, network: str, engine: str) -> dict:
    [one] = found[(found["network"] == network) & (found["engine"] == engine)].to_dict("records")
    return one


def test_speed_is_against_the_dense_network_in_the_same_engine():
    one = exported()
    found = row(table([one]), "pruned", "onnx")
    samples = {(a["network"], a["engine"]): a["latency"]["2"]["64"] for a in one["artefacts"]}
    ratio = median(samples["dense", "onnx"]) / median(samples["pruned", "onnx"])
    assert found["speedup_2_64"] == ratio == pytest.approx(2, rel=0.1)
    assert found["latency_2_64"] == median(samples["pruned", "onnx"])
    assert found["throughput_2_64"] == 64 / found["latency_2_64"]
    assert found["speedup_macs"] == 2
    assert found["quality"] == pytest.approx(100 * (0.9 - 0.01 * 0.25))


def test_several_seeds_are_averaged_and_one_has_the_interval_of_its_samples():
    whole = table([exported(seed) for seed in range(3)])
    ratios = [row(table([exported(seed)]), "control", "eager")["speedup_1_1"] for seed in range(3)]
    found = row(whole, "control", "eager")
    assert (found["speedup_1_1"], found["speedup_1_1_ci95"]) == pytest.approx(mean_interval(ratios))
    assert found["n"] == 3
    assert 0 < row(table([exported()]), "control", "eager")["speedup_1_1_ci95"] < 0.1


def test_nothing_shipped_is_no_table(tmp_path):
    assert table([record()]).empty
    report.report(write(tmp_path / "plain", [record()]))
    assert not (tmp_path / "plain" / "shipped.md").exists()


def test_the_report_tells_stages_in_their_order_and_energy_only_where_it_is_counted(tmp_path):
    text = report.report(write(tmp_path / "ship", [exported()]))
    rows = [line for line in text.split("# What is shipped")[1].splitlines() if "| magnitude" in line]
    assert [line.split("|")[3].strip() for line in rows] == ["dense", "control", "pruned"] * 2
    assert " mJ |" not in text and "2 threads @64" in text
    counted = report.report(write(tmp_path / "counted", [exported(joules=0.002)]))
    assert " mJ |" in counted and (tmp_path / "counted" / "shipped.csv").exists()


def test_signs_are_escaped_in_latex():
    text = typesetting.latex(shipped.table(table([exported()])))
    assert "\\toprule" in text and "$\\times$" in text and "×" not in text
