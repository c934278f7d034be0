"""Networks that were trained elsewhere: the user's own files, and torchvision's weights for other classes."""

import hashlib
import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from methods import surgery

WRAPPERS = ("state_dict", "model_state_dict", "model")  # keys under which training scripts keep the weights


def load(network: nn.Module, path: str) -> None:
    """Fill `network`, in place, from a state dict (torch's or safetensors'), as it is or within a training's file.

    Names may begin with "module.", as DataParallel leaves them. Frozen parameters may be missing: they are part of the
    architecture. Raises ValueError, naming the first misfit, for a file that does not hold this network.
    """
    state = {name.removeprefix("module."): tensor for name, tensor in _read(Path(path)).items()}
    spared = {name for name, parameter in network.named_parameters() if not parameter.requires_grad}
    own = network.state_dict()
    spared |= {name for name in own if name.endswith("num_batches_tracked")}  # older than BatchNorm's count
    missing = sorted(set(own) - set(state) - spared)
    spare = sorted(set(state) - set(own))
    shapes = [name for name in own if name in state and own[name].shape != state[name].shape]
    if missing or spare or shapes:
        raise ValueError(f"{path} does not fit {type(network).__name__}: {_misfit(own, state, missing, spare, shapes)}")
    surgery.fill(network, state, strict=False)


def _misfit(own: Mapping[str, Tensor], state: Mapping[str, Tensor], *kinds: list[str]) -> str:
    missing, spare, shapes = kinds
    if shapes:
        return f"{shapes[0]} is {tuple(state[shapes[0]].shape)} there and {tuple(own[shapes[0]].shape)} here"
    if missing and spare:
        return f"it has {spare[0]} and no {missing[0]}: choose the model it was made for"
    return f"it has no {missing[0]}" if missing else f"it has {spare[0]}, which this model has not"


def _read(path: Path) -> dict[str, Tensor]:
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        found = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, UnpicklingError, RuntimeError, EOFError, KeyError, ValueError) as error:
        reason = re.split(r"[.,;\n]", str(error).strip())[0] or type(error).__name__  # torch's own is a page
        raise ValueError(
            f"{path} is no checkpoint ({reason}): give a state dict saved by torch or safetensors"
        ) from None
    return _unwrapped(found, path)


def _unwrapped(found: Any, path: Path) -> dict[str, Tensor]:
    for key in WRAPPERS:
        if isinstance(found, Mapping) and isinstance(found.get(key), Mapping):
            found = found[key]
    if not isinstance(found, Mapping) or not all(isinstance(tensor, Tensor) for tensor in found.values()):
        raise ValueError(f"{path} holds no state dict: save model.state_dict()")
    return dict(found)


@lru_cache
def digest(path: str) -> str:
    """What is in a file, as 64 hexadecimal digits."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def told(path: str | None) -> dict[str, str] | None:
    """What a record says of a checkpoint: its name and what is in it, not where it lay; None where there was none."""
    return {"name": Path(path).name, "sha256": digest(path)} if path else None


def fingerprint(checkpoint: str | Mapping[str, str]) -> str:
    """What is in a checkpoint: of a file, or as a record tells it."""
    return checkpoint["sha256"] if isinstance(checkpoint, Mapping) else digest(checkpoint)


def with_classes(network: nn.Module, classes: int) -> nn.Module:
    """`network`, with a new last layer where its own has another number of outputs: what fine-tuning begins with."""
    name, head = [(n, m) for n, m in network.named_modules() if isinstance(m, nn.Linear | nn.Conv2d)][-1]
    if isinstance(head, nn.Linear) and head.out_features != classes:
        network.set_submodule(name, nn.Linear(head.in_features, classes, bias=head.bias is not None))
    if isinstance(head, nn.Conv2d) and head.out_channels != classes:
        network.set_submodule(name, nn.Conv2d(head.in_channels, classes, head.kernel_size, head.stride))  # type: ignore[arg-type]
    return network
