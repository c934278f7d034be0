"""Searches choose on validation data, count a failed run as the worst, and continue where they were stopped."""

import pytest
from omegaconf import OmegaConf

from benchmarks import records, search

pytest.importorskip("hydra_plugins.hydra_optuna_sweeper", reason="the extra `tune` is not installed")
SEARCH = ["experiment=tuning", "hydra.sweeper.n_trials=3", "keep=0.25", "training.recovery.epochs=1"]
RATE = "training.recovery.optimizer.lr"


def rates(folder):
    """Of each learning rate, the quality on validation data."""
    found = records.load(folder / "tuning")
    return {r["config"]["training"]["recovery"]["optimizer"]["lr"]: r["rounds"][-1]["after"] for r in found}


def test_a_search_chooses_the_rate_on_validation_data_and_continues_where_it_was_stopped(command, tmp_path):
    code, said = command(*SEARCH)
    tried = rates(tmp_path)
    assert code == 0 and len(tried) == 3 and all(0.001 <= rate <= 0.5 for rate in tried), said
    chosen = OmegaConf.load(tmp_path / "cache" / "hydra" / "optimization_results.yaml")
    assert chosen.best_value == max(tried.values()) == tried[chosen.best_params[RATE]]
    table = (tmp_path / "tuning" / "search.md").read_text()
    first, *_ = (line for line in table.splitlines() if line.startswith("| digits"))
    assert f"{max(tried.values()):.4g}" in first and table.strip() in said
    record = records.load(tmp_path / "tuning")[0]
    (tmp_path / "tuning" / "records" / f"{record['id']}.json").unlink()
    code, said = command(*SEARCH)
    assert code == 0 and said.count("has its record") == 2 and rates(tmp_path).keys() == tried.keys()


def test_a_search_over_a_list_goes_on_after_a_rate_that_diverges(command, tmp_path):
    grid = ["hydra/sweeper/sampler=grid", f"{RATE}=0.01,0.1,1e9"]
    code, said = command(*SEARCH, *grid)
    assert code == 1 and said.count("FAILED: training diverged") == 1 and "error: 1 runs failed" in said
    assert set(rates(tmp_path)) == {0.01, 0.1} and "# Search: tuning" in said


def test_a_search_in_which_all_fails_says_why(command, tmp_path):
    code, said = command(*SEARCH, f"{RATE}=interval(1e8,1e9)")
    assert code == 1 and "error: 3 runs failed" in said.splitlines()[-1] and "Traceback" not in said


def test_a_search_for_the_worst_is_refused(command, tmp_path):
    code, said = command("-m", "hydra/sweeper=optuna", f"{RATE}=0.01,0.1")
    assert code == 1 and said.endswith("set hydra.sweeper.direction=maximize")


def test_trials_are_compared_where_data_model_and_method_are_the_same():
    def trial(method, rate, seed, after):
        choices = {"dataset": "digits", "model": "mlp", "method": method}
        config = {"rate": {"lr": rate}, "seed": seed}
        return {"choices": choices, "config": config, "pruned": {"accuracy": 1 - after}, "rounds": [{"after": after}]}

    found = [trial("b", 0.1, 0, 0.9), trial("b", 0.1, 1, 0.7), trial("b", 0.2, 0, 0.85), trial("a", 0.1, 0, 0.1)]
    table = search.trials(found, ["rate.lr"])
    assert table.values.tolist() == [
        ["digits", "mlp", "a", 0.1, 1, 0.1],
        ["digits", "mlp", "b", 0.2, 1, 0.85],
        ["digits", "mlp", "b", 0.1, 2, pytest.approx(0.8)],
    ]
