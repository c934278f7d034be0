"""Records as a sweep would leave them: a pure function of what is asked."""

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

QUALITY = {"shapley": 0.030, "magnitude": 0.042, "random": 0.060, "gradual": 0.033}  # lost at a halving
DENSE = {"accuracy": 0.975, "top5": 0.999, "loss": 0.09, "parameters": 37866, "nonzero_parameters": 37866}


def record(
    method: str = "shapley",
    keep: float = 0.5,
    seed: int = 0,
    model: str = "convnet",
    aggregate: str = "mean_abs",
    training: str = "digits",
    granularity: str = "unit",
    of: str = "parameters",
    estimator: str = "permutation",
    samples: int = 25,
    worth: str = "negative_cross_entropy",
    accuracy: float | None = None,
    schedule: str | None = None,
) -> dict[str, Any]:
    """One record; `accuracy` instead of a made-up one."""
    schedule = schedule or ("gradual" if method == "gradual" else "one_shot")
    choices = {
        "task": "image_classification",
        "dataset": "digits",
        "model": model,
        "method": method,
        "granularity": granularity,
        "schedule": schedule,
        "allocation": "uniform",
        "worth": worth,
        "aggregate": aggregate,
        "estimator": estimator,
        "training": training,
        "compression": "none",
        "export": "none",
        "analysis": "none",
    }
    config = _config(choices, keep, seed, of, samples)
    name = sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()[:12]
    config["layer"] = config["training"]["examples"] = None
    noise = np.random.default_rng(seed).normal(0, 0.004)
    if accuracy is None:
        loss = QUALITY.get(method, 0.05) * (1 + 0.3 * (model == "mlp")) * np.log2(1 / keep)
        accuracy = round(DENSE["accuracy"] + noise - loss + 0.001 * (int(name[:4], 16) % 7 - 3), 6)
    return {
        "id": name,
        "sweep": "golden",
        "choices": choices,
        "config": config,
        "seed": seed,
        "metric": "accuracy",
        "budget": {"of": of, "keep": keep, "achieved": keep - 0.0003},
        "coverage": 0.99,
        "rounds": [_round(accuracy, keep, seed)],
        **_networks(accuracy, noise, keep, seed, granularity),
        "cost": {
            "scoring_seconds": 1.9 if method == "shapley" else 0.002,
            "evaluations": 2240 if method == "shapley" else 0,
            "recovery_seconds": 2.2,
            "training_seconds": 9.1,
        },
        "machine": {
            "cpu": "Example CPU @ 2.0 GHz",
            "instructions": "AVX2",
            "cores": 2,
            "threads": 1,
            "device": "cpu",
            "gpu": "",
            "system": "Linux",
        },
        "versions": {"torch": "2.14.1"},
        "commit": "abc1234",
        "command": f"python -m benchmarks.run model={model} method={method} seed={seed} keep={keep}",
        "finished": "2026-11-23T12:00:00+00:00",
    }


def _round(accuracy: float, keep: float, seed: int) -> dict[str, Any]:
    """A removal from two groups of 8 and 12 units."""
    numbers = np.random.default_rng(seed)
    scores = {name: [round(v, 4) for v in numbers.normal(1, 0.4, size)] for name, size in (("0", 8), ("2", 12))}
    best = {name: np.argsort(found)[::-1].tolist() for name, found in scores.items()}
    kept = {name: sorted(order[: round(keep * len(order))]) for name, order in best.items()}
    watched = {"before": round(float(accuracy) ** 3, 6), "after": float(accuracy)}
    return {"step": 0, **watched, "scores": scores, "standard_errors": {}, "kept": kept}


def _config(choices: dict[str, str], keep: float, seed: int, of: str, samples: int) -> dict[str, Any]:
    criterion: dict[str, Any] = {"_target_": f"methods.{choices['method']}"}
    if choices["method"] == "gradual":
        criterion["_target_"] = "methods.magnitude"
    if choices["method"] == "shapley":
        criterion |= {axis: {"_target_": choices[axis]} for axis in ("worth", "aggregate")}
        criterion["estimator"] = {"_target_": choices["estimator"], "samples": samples}
    return {
        "task": {"metric": "accuracy"},
        "checkpoint": None,
        "dataset": {"name": "digits", "root": "anywhere"},
        "model": {"_target_": choices["model"]},
        "training": {
            "dense": {"recipe": choices["training"]},
            "recovery": {"recipe": choices["training"]},
            "distillation": {"weight": 0.0, "temperature": 4.0},
        },
        "accept": {"drop": None, "rounds": 3},
        "compression": {},
        "export": {},
        "analysis": {},
        "method": {"criterion": criterion},
        "keep": keep,
        "seed": seed,
        "budget": {"of": of, "floor": 1},
        **{axis: {"_target_": choices[axis]} for axis in ("granularity", "schedule", "allocation")},
    }


def _networks(accuracy: float, noise: float, keep: float, seed: int, granularity: str) -> dict[str, Any]:
    jitter = np.random.default_rng([seed, round(1e4 * keep)])
    removed = keep if granularity == "unit" else 1.0
    dense = {**DENSE, "accuracy": round(DENSE["accuracy"] + noise, 6), "macs": 1234567, "bytes": 152000}
    pruned = {
        **dense,
        "accuracy": accuracy,
        "macs": round(removed**1.2 * 1234567),
        "bytes": round(1000 + removed * 151000),
        "parameters": round(removed * 37866),
        "nonzero_parameters": round(keep * 37866),
    }

    def latency(scale: float) -> dict[str, list[float]]:
        times = {"1": 2e-4 * scale, "64": 1.3e-3 * scale}
        return {batch: [float(f"{s * t:.4g}") for t in jitter.normal(1, 0.02, 9)] for batch, s in times.items()}

    return {
        "dense": {**dense, "latency": latency(1)},
        "pruned": {**pruned, "latency": latency(removed**0.5)},
        "control": {"latency": latency(1)},
        "contention": {"1": 0.01, "64": 0.02},
        "artefacts": [],
        "analysis": {},
        "recovery": {"dense": dense["accuracy"], "curve": [[20, (accuracy + accuracy**3) / 2], [40, accuracy]]},
        "acceptance": None,
    }


def golden() -> list[dict[str, Any]]:
    """Two models, four methods, three budgets, three seeds."""
    return [
        record(method, keep, seed, model)
        for model in ("mlp", "convnet")
        for method in QUALITY
        for keep in (0.5, 0.25, 0.125)
        for seed in range(3)
    ]


def write(folder: Path, found: list[dict[str, Any]], failed: tuple[dict[str, Any], ...] = ()) -> Path:
    """Leave records in a sweep's folder, as benchmarks.run does."""
    for kind, some in (("records", found), ("failed", failed)):
        (folder / kind).mkdir(parents=True, exist_ok=True)
        for one in some:
            (folder / kind / f"{one['id']}.json").write_text(json.dumps(one))
    return folder
