"""What other suites get wrong: MACs of groups and attention, masks."""

from statistics import median

import pytest
import torch
from torch import nn
from torchvision import models

from benchmarks import measuring
from methods import surgery
from tests.networks import network
from tests.test_surgery import draw_kept


@pytest.mark.parametrize(
    "build, giga", [(models.resnet18, 1.814), (models.mobilenet_v2, 0.3008), (models.vit_b_16, 17.56)]
)
def test_macs_at_224_are_the_known_ones(build, giga):
    with torch.device("meta"):
        model = build(weights=None)
    assert measuring.macs(model, torch.empty(1, 3, 224, 224)) == pytest.approx(giga * 1e9, rel=1e-3)


def test_a_watch_within_another_stops_it(monkeypatch):
    watch, now = measuring.Stopwatch(), iter((0, 10, 13, 20))
    monkeypatch.setattr(measuring.time, "perf_counter", lambda: next(now))
    with watch("outer"), watch("inner"):
        pass
    assert watch.seconds == {"outer": 17, "inner": 3}


def test_macs_of_grouped_convolutions_are_divided_by_the_groups():
    x = torch.empty(1, 8, 10, 10)
    assert measuring.macs(nn.Conv2d(8, 16, 3, groups=4), x) == 16 * 8 * 8 * (8 // 4) * 9


def test_size_counts_zeros_and_the_bytes_of_the_file(tmp_path):
    model, x, found = network("lenet5")
    zeroed = surgery.zeroed(model, found, draw_kept(found, 0, 0.5))
    measured = measuring.size(zeroed, x)
    assert measured["nonzero_parameters"] < measured["parameters"] == sum(p.numel() for p in model.parameters())
    surgery.save(tmp_path / "model", model)
    assert 0 <= (tmp_path / "model").stat().st_size - measured["bytes"] < 200  # the header's list of units


def test_latencies_keep_every_sample_of_every_network():
    model, x, _ = network("mlp")
    samples, contention = measuring.latencies({"a": model, "b": model}, x, batches=(1, 3), repeats=7, seconds=60)
    assert {name: {batch: len(s) for batch, s in of.items()} for name, of in samples.items()} == {
        "a": {"1": 7, "3": 7},
        "b": {"1": 7, "3": 7},
    }
    assert set(contention) == {"1", "3"} and max(contention.values()) < 1
    assert all(sample > 0 for of in samples.values() for s in of.values() for sample in s)


def test_latencies_end_with_their_time_but_not_before_five_samples():
    class Slow(nn.Module):
        def forward(self, x):
            torch.ones(200, 200) @ torch.ones(200, 200)
            return x

    samples, _ = measuring.latencies({"slow": Slow()}, torch.ones(1, 1), batches=(1,), repeats=10**6, seconds=0)
    assert len(samples["slow"]["1"]) == 5


def test_latencies_tell_a_slower_network_from_a_faster_one():
    """Not a timing: the slow network does a thousand times the work."""

    class Slow(nn.Module):
        def forward(self, x):
            return [x @ x for _ in range(1000)][-1]

    samples, _ = measuring.latencies({"fast": nn.Identity(), "slow": Slow()}, torch.ones(50, 50)[None], (1,), 5, 60)
    assert median(samples["slow"]["1"]) > median(samples["fast"]["1"])
