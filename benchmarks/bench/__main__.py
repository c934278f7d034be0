"""python -m benchmarks.bench: measure, and leave a record, its tables and its figure in results/bench/."""

import argparse
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from benchmarks import provenance
from benchmarks.bench import contests, cost, figures, tables
from benchmarks.bench.peers import on_a_hook
from benchmarks.figures import save
from benchmarks.records import write, write_text
from methods.worth import negative_cross_entropy


def costs(turns: int) -> Iterator[dict[str, Any]]:
    """For each group of each network, seconds of an evaluation, by turns."""
    for name in cost.networks():
        for network, group, timers, facts in cost.cells(name):
            samples: dict[str, list[float]] = {way: [] for way in timers}
            for _ in range(turns):
                for way, timer in timers.items():
                    samples[way].append(timer())
            print(f"cost: {network} {group}", flush=True)
            yield {"network": network, "group": group, **facts, "seconds": samples}


def races(results: Path, seeds: int) -> Iterator[dict[str, Any]]:
    """For each game and estimator, distances to the reference at more and more samples."""
    for name in contests.CONTESTS:
        for contest in contests.contests(name, results):
            stock = on_a_hook(contest.model, contest.group, negative_cross_entropy, contest.evidence)
            players = len(contest.group.ids)
            game = {
                "network": name,
                "group": contest.group.name,
                "players": players,
                "reference_error": contest.reference_error,
                "hook_seconds": [cost.of_sampler(stock, players) for _ in range(5)],
            }
            for estimator, values in contests.estimators(name).items():
                print(f"race: {name} {contest.group.name} {estimator}", flush=True)
                for samples, rows in contests.race(contest, values, seeds):
                    yield {**game, "estimator": estimator, "samples": samples, "runs": rows}


def about() -> dict[str, Any]:
    """On what machine, with what code, when."""
    return {
        "machine": provenance.machine(torch.device("cpu")),
        "versions": provenance.versions(),
        "commit": provenance.commit(),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def main() -> None:
    """Measure, and write tables and figure; without any stage, only these, from the records that are there."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--results", type=Path, default=Path("results"))
    parser.add_argument("--stages", nargs="*", choices=["cost", "races"], default=["cost", "races"])
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    folder = options.results / "bench"
    if "cost" in options.stages:
        write(folder / "cost.json", {**about(), "costs": list(costs(options.turns))})
    if "races" in options.stages:
        write(folder / "races.json", {**about(), "races": list(races(options.results, options.seeds))})
    cost_record, races_record = (json.loads((folder / name).read_text()) for name in ("cost.json", "races.json"))
    text = tables.markdown(cost_record, races_record)
    write_text(folder / "tables.md", text)
    save(figures.errors(races_record["races"]), folder, "errors")
    print(text)


if __name__ == "__main__":
    main()
