"""The command that makes a record again, of those that do not name it: their choices, and what else they set."""

import shlex
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from benchmarks.mistakes import CONF

LISTS = ("compression", "export", "analysis")  # axes on which there may be several choices, or none
# told first, or not of the run
ELSEWHERE = ("sweep", "profile", "keep", "seed", "results", "force", "device", "memory", "wandb")


def command(record: Mapping[str, Any]) -> str:
    """One line for a shell. What the files of conf/ say of a choice is left out, all that differs from it is there.

    A file of weights is told by its name, as its record does not know where it lies.
    """
    config, chosen = record["config"], dict(_choices(record))
    told = {"sweep": record["sweep"], **chosen, "keep": record["budget"]["keep"], "seed": record["seed"]}
    said = {
        "until": None,
        **dict.fromkeys(LISTS, {}),
        **_file(CONF / "run.yaml"),
        **{axis: _said(axis, choice) for axis, choice in chosen.items()},
    }
    if config["checkpoint"]:
        config = {**config, "checkpoint": config["checkpoint"]["name"]}
    settings = [d for key in config if key not in ELSEWHERE for d in _differences(config[key], said.get(key, ...), key)]
    overrides = [f"{key}={_value(value)}" for key, value in told.items()] + settings
    return shlex.join(["python", "-m", "benchmarks.run", *overrides])


def _choices(record: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """By the names of the files in conf/: those of data sets of one's own are told by what reads them."""
    config = record["config"]
    for axis, choice in record["choices"].items():
        if axis in LISTS:
            yield from [(axis, list(config[axis]))] if config[axis] else []
        elif axis == "dataset" and not (CONF / axis / f"{choice}.yaml").exists():
            yield axis, _by_target(axis, config[axis].get("_target_")) or choice
        else:
            yield axis, choice
    if until := config.get("until"):
        yield "until", _by_target("until", until["_target_"])


@cache
def _by_target(axis: str, target: str) -> str | None:
    names = (path.stem for path in sorted((CONF / axis).glob("*.yaml")))
    return next((name for name in names if _said(axis, name).get("_target_") == target), None)


def _said(axis: str, choice: str | list[str]) -> Mapping[str, Any]:
    """What the files of one choice, or of several, set."""
    names = choice if isinstance(choice, list) else [choice]
    return {key: value for name in names for key, value in _file(CONF / axis / f"{name}.yaml").items()}


@cache
def _file(path: Path) -> Mapping[str, Any]:
    """A file's settings over those of the files beside it that it starts from; nothing where there is no such file."""
    if not path.exists():
        return {}
    own: dict[str, Any] = OmegaConf.to_container(OmegaConf.load(path))  # type: ignore[assignment]
    bases = [name for name in own.pop("defaults", []) if isinstance(name, str) and name not in ("_self_", "schema")]
    trees = [OmegaConf.create(dict(_file(path.with_name(f"{name}.yaml")))) for name in bases]
    return OmegaConf.to_container(OmegaConf.merge(*trees, OmegaConf.create(own)))  # type: ignore[return-value]


def _differences(found: Any, said: Any, name: str) -> Iterator[str]:
    """Overrides that turn what is said into what was found; an interpolation follows what it names."""
    if (isinstance(said, str) and "${" in said) or (said is ... and name.endswith("._target_")):  # the schema says it
        return
    if isinstance(found, Mapping) and isinstance(said, Mapping):
        for key, value in found.items():
            yield from _differences(value, said.get(key, ...), f"{name}.{key}")
    elif found != said:
        yield f"{'++' if said is ... else ''}{name}={_value(found)}"


def _value(value: Any) -> str:
    """In the grammar of Hydra's overrides."""
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{key}:{_value(of)}" for key, of in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_value, value)) + "]"
    if isinstance(value, str):
        plain = value.replace("_", "").replace(".", "").replace("/", "").replace("-", "").isalnum()
        return value if plain and not value[0].isdigit() else "'" + value.replace("'", "\\'") + "'"
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else repr(value)
