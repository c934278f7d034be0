"""Energy is what a counter says, or absent."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from benchmarks import energy


class Counter:
    """Counts three joules for each pass on the GPU, one on the processor."""

    def __init__(self, model: nn.Module):
        self.passes = 0
        model.register_forward_hook(self.count)

    def count(self, *arguments):
        self.passes += 1

    def begin_window(self, name, sync_execution):
        self.passes = 0

    def end_window(self, name, sync_execution):
        counted = {"gpu_energy": {0: 3.0 * self.passes}, "cpu_energy": {0: 1.0 * self.passes}, "dram_energy": None}
        return SimpleNamespace(**counted)


def test_all_counters_are_summed_and_shared_out(monkeypatch):
    model = nn.Identity()
    monkeypatch.setattr(energy, "_monitor", lambda: Counter(model))
    monkeypatch.setattr(energy, "SECONDS", 0.01)
    assert energy.joules(model, torch.ones(8, 2)) == pytest.approx(4 / 8)


def test_where_nothing_counts_it_is_absent(monkeypatch):
    monkeypatch.setattr(energy, "_monitor", lambda: None)
    assert energy.joules(nn.Identity(), torch.ones(8, 2)) is None


def test_a_machine_without_counters_has_no_monitor():
    """Where this machine counts, it counts something; where it does not, nothing is made up."""
    pytest.importorskip("zeus", reason="the extra `energy` is not installed")
    monitor = energy._monitor()
    assert monitor is None or energy.joules(nn.Linear(64, 64), torch.ones(8, 64)) > 0
