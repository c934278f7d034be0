"""Where numbers come from: machine, versions, commit."""

import os
import platform
import shutil
import subprocess
from functools import lru_cache
from importlib.metadata import version

import torch

INT8 = {"avx_vnni": "VNNI", "avx512_vnni": "VNNI", "amx_int8": "AMX", "dot": "dot", "i8mm": "i8mm"}


def machine(device: torch.device) -> dict[str, str | int]:
    """What the timings were taken on; by another set of instructions the same training ends at other weights."""
    return {
        "cpu": _cpu(),
        "instructions": _instructions(),
        "cores": os.cpu_count() or 1,
        "threads": torch.get_num_threads(),
        "device": device.type,
        "gpu": torch.cuda.get_device_name(device) if device.type == "cuda" else "",
        "system": platform.system(),
    }


def _instructions() -> str:
    """The set by which PyTorch computes, and those that multiply int8 faster where the processor has them."""
    has = torch.cpu.get_capabilities()
    faster = dict.fromkeys(name for flag, name in INT8.items() if has.get(flag))
    return ", ".join([torch.backends.cpu.get_cpu_capability(), *faster])


@lru_cache
def _cpu() -> str:
    try:
        with open("/proc/cpuinfo") as file:
            return next(line.split(":")[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


@lru_cache
def versions() -> dict[str, str]:
    """Versions of Python and of the libraries that a number can depend on."""
    libraries = ("torch", "torchvision", "captum", "torch-pruning", "numpy", "scikit-learn")
    return {"python": platform.python_version(), **{name: version(name) for name in libraries}}


@lru_cache
def commit() -> str:
    """The commit of this code, marked "-dirty" if it was changed since (results aside); empty outside of a checkout."""
    name = _git("rev-parse", "--short", "HEAD")
    changed = _git("status", "--porcelain", "--untracked-files=no", "--", ":(top)", ":(top,exclude)results")
    return f"{name}-dirty" if changed else name


def _git(*arguments: str) -> str:
    if not shutil.which("git"):
        return ""
    command = ["git", "-C", os.path.dirname(__file__), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
