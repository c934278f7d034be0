"""Tests run on one thread a process: pytest-xdist already uses every core."""

import sys

import pytest
import torch
from hypothesis import HealthCheck, settings

from benchmarks.run import main

torch.set_num_threads(1)
COMMON = {"deadline": None, "derandomize": True, "suppress_health_check": list(HealthCheck)}
settings.register_profile("suite", max_examples=25, **COMMON)
settings.register_profile("thorough", max_examples=500, **COMMON)  # pytest --hypothesis-profile=thorough
settings.load_profile("suite")


@pytest.fixture
def command(tmp_path, monkeypatch, capsys):
    """Run the command line in this process, on little data and without W&B: (exit code, what it said)."""

    def run(*arguments: str) -> tuple[int, str]:
        quick = [
            "training=digits",
            "training.dense.epochs=2",
            "training.recovery.epochs=2",
            "latency.repeats=2",
            "threads=1",
            "latency.batches=[1]",
            "wandb.mode=disabled",
            f"results={tmp_path}",
        ]
        flags = [argument for argument in arguments if argument.startswith("-")]
        given = {argument.partition("=")[0] for argument in arguments}
        defaults = [default for default in quick if default.partition("=")[0] not in given]
        monkeypatch.setattr(sys, "argv", ["run", *flags, *defaults, *(a for a in arguments if a not in flags)])
        code = 0
        try:
            main()
        except SystemExit as stop:
            code = 1 if isinstance(stop.code, str) else stop.code or 0
            print(stop.code if isinstance(stop.code, str) else "")
        said = capsys.readouterr()
        return code, (said.out + said.err).strip()

    return run
