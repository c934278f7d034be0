"""One line for each mistake: what was wrong, the valid choices, the fix."""

import re
import sys
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path

from hydra import compose, initialize_config_dir
from hydra.errors import HydraException
from joblib.externals.loky.process_executor import TerminatedWorkerError
from omegaconf import DictConfig, OmegaConf
from submitit.core.utils import FailedJobError, UncompletedJobError

CONF = Path(__file__).parents[1] / "conf"
UNFIT = (RuntimeError, ValueError, AssertionError)  # what networks raise at inputs of a shape that they cannot take
USERS = (ValueError, FileNotFoundError, FloatingPointError)  # what this project raises for a user's mistake
KILLED = (TerminatedWorkerError, UncompletedJobError, FailedJobError)  # what launchers raise for a process that died


def require_complete(config: DictConfig) -> None:
    """Exit, naming all values that the user has to give and did not."""
    if missing := sorted(OmegaConf.missing_keys(config)):
        sys.exit(f"error: {', '.join(missing)} must be set: {' '.join(f'{key}=…' for key in missing)}")


def require_file(path: str | None, key: str) -> None:
    """Exit if a file is named that is not there."""
    if path and not Path(path).is_file():
        sys.exit(f"error: {key}={path} is no file: give the path of one, or {key}=null")


def fractions(keep: object) -> list[float]:
    """The fractions to keep, of which there can be one or a list; exit if they are not numbers."""
    given = keep if isinstance(keep, list) else [keep]
    if not given or not all(isinstance(fraction, int | float) for fraction in given):
        sys.exit(
            f"error: keep={keep} is neither a fraction nor a list of fractions: choose keep=0.5 or keep=[0.5,0.25]"
        )
    return [float(fraction) for fraction in given]


def one_line(error: Exception) -> str:
    """A user's mistake as it was raised; any other error with its type."""
    text = " ".join(str(error).split())
    return text if isinstance(error, USERS) else f"{type(error).__name__}: {text}"


def killed(error: Exception) -> str:
    """A process of a sweep died, and with it, for a launcher, the sweep; on disk nothing is lost."""
    what = str(error).strip().splitlines()[0].split(". ")[0]
    others = "" if isinstance(error, TerminatedWorkerError) else ", and its other jobs go on"
    return (
        f"a process of the sweep died ({what}); what has its record keeps it{others}: the same command makes what is "
        "missing, python -m benchmarks.report NAME the tables of what is there"
    )


def in_configuration(error: Exception) -> str:
    """What Hydra found wrong, without what it says to its developers."""
    text = " ".join(f"{error} {error.__cause__ or ''}".split())
    if key := re.search(r"Could not override '([\w.]+)'", text):
        return _unknown_key(key[1])
    if choice := re.search(
        r"Could not find '(.+?)/([^/']+)' Available options in '.+?': (.*?)(?: Config search|$)", text
    ):
        if choice[2] == "optuna":
            return "hydra/sweeper=optuna is not installed: pip install --editable '.[tune]'"
        return f"{choice[1]}={choice[2]} is unknown{_meant(choice[2], choice[3].split())}"
    return re.sub(
        r"((full_key|object_type|reference_type)[:=] ?\S*|Config search path:.*|See https://\S+.*)", "", text
    ).strip()


def _unknown_key(key: str) -> str:
    parent, _, name = key.rpartition(".")
    chosen = [argument.split(",")[0] for argument in sys.argv[1:] if (CONF / argument.split("=")[0]).is_dir()]
    try:
        with initialize_config_dir(str(CONF), version_base="1.3"):
            config = compose("run", chosen)
    except HydraException:  # a choice from elsewhere (--config-dir): no keys to list
        return f"{key} is unknown"
    return f"{key} is unknown{_meant(name, map(str, OmegaConf.select(config, parent) if parent else config))}"


def _meant(name: str, choices: Iterable[str]) -> str:
    choices = sorted(choice for choice in choices if not choice.startswith("_"))
    near = get_close_matches(name, choices, n=1)
    return f"{f' (did you mean {near[0]}?)' if near else ''}: choose one of {', '.join(choices)}"
